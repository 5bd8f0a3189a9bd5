package dev.millrace.server;

import java.util.List;

/** The part of the configuration's page on the section {@code python} of a model's file. */
final class PythonSection {
  static final String HEAD =
      """

      The section `python`, of which [docs/python.md](python.md) tells more:

      | key | value | default | what it does |
      |---|---|---|---|
      """;

  /** Key, value, default, description. */
  static final List<List<String>> KEYS =
      List.of(
          List.of(
              "interpreter",
              "command or path",
              "python3",
              "The Python, or the directory of a virtual environment, that the script runs in. A"
                  + " relative path is looked for beside the script first."),
          List.of(
              "script",
              "path",
              "`predictor*.py`",
              "The script, if it has another name; from the model's directory."),
          List.of(
              "class",
              "name",
              "Predictor, Predict, or the only kserve.Model",
              "The class in the script."),
          List.of(
              "transformer",
              "path",
              "`transformer*.py`",
              "A script with a transformer, which runs in the predictor's process."),
          List.of("transformer-class", "name", "Transformer", "The class in that script."),
          List.of(
              "envelope",
              "unwrapped, raw",
              "unwrapped",
              "What a transformer gets and gives: `unwrapped` as from Hopsworks 4.1 on, `raw` as"
                  + " before it."),
          List.of(
              "inputs-as",
              "rows, tensors, infer-request",
              "rows",
              "What `predict` gets: lists, a dict of NumPy arrays, or what KServe gives it for V2."),
          List.of("config-file", "path", "none", "The file that `CONFIG_FILE_PATH` names."),
          List.of(
              "concurrency",
              "1 to 1024",
              "1",
              "How many of the `instances` one process serves at the same time: `async` methods side"
                  + " by side on its event loop, others in threads."),
          List.of(
              "start-timeout",
              "duration",
              "5m",
              "How long a process may take until its script is loaded."),
          List.of(
              "call-timeout",
              "duration",
              "2m",
              "How long a call may take before its process is killed."),
          List.of(
              "memory-limit",
              "size",
              "none",
              "How much memory one process may allocate; beyond it Python raises `MemoryError`."),
          List.of("environment", "keys and texts", "none", "More environment variables."),
          List.of(
              "inputs",
              "list of name, datatype and shape",
              "none",
              "What the script takes, if clients and front ends shall know."),
          List.of(
              "outputs",
              "list of name, datatype and shape",
              "none",
              "What it gives: results are converted to these datatypes, and checked."));

  private PythonSection() {}
}
