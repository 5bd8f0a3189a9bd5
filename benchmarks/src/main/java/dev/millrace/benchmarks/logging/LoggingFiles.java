package dev.millrace.benchmarks.logging;

import dev.millrace.benchmarks.SweptModel;
import dev.millrace.benchmarks.known.KnownBackend;
import dev.millrace.benchmarks.known.LatencyCurve;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;

/** Writes the two models: one that costs next to nothing, and one that costs a millisecond. */
public final class LoggingFiles {
  private LoggingFiles() {}

  /**
   * Writes a repository.
   *
   * @param args the directory, made if it is not there
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, a directory");
    }
    Path repository = Path.of(args[0]);
    Path tiny = Files.createDirectories(repository.resolve("tiny/1"));
    Files.write(tiny.resolve("model.onnx"), SweptModel.TINY.file());
    // As calibration may choose otherwise for the one server than for the other.
    Files.writeString(repository.resolve("tiny/model.yaml"), "instances: 1\nthreads: 1\n");
    KnownBackend.write(
        repository,
        "millisecond",
        LatencyCurve.affine(Duration.ofNanos(1), Duration.ofMillis(1)),
        "instances: 1\nmax-batch-size: 1\n");
    Files.writeString(
        repository.resolve("millisecond/model.yaml"),
        "  work: spin\n", // as a model on a CPU does
        StandardOpenOption.APPEND);
  }
}
