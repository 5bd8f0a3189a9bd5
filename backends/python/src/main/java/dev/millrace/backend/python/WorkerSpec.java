package dev.millrace.backend.python;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * What every worker of a pool is started with.
 *
 * @param name of the model, for people
 * @param interpreter the command of the interpreter
 * @param directory where the process runs: the script's
 * @param environment variables beside, and over, the server's own
 * @param options what the worker is told once it runs; see {@code serve.py}
 * @param workers how many processes
 * @param connections calls that one process answers at the same time
 * @param startTimeout time after which a process that is not ready is given up
 * @param callTimeout time after which a call is given up, and its process with it
 */
record WorkerSpec(
    String name,
    List<String> interpreter,
    Path directory,
    Map<String, String> environment,
    Map<String, String> options,
    int workers,
    int connections,
    Duration startTimeout,
    Duration callTimeout) {
  WorkerSpec {
    interpreter = List.copyOf(interpreter);
    environment = Map.copyOf(environment);
    options = Map.copyOf(options);
  }
}
