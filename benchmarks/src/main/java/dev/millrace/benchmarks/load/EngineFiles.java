package dev.millrace.benchmarks.load;

import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.BackendModel;
import dev.millrace.benchmarks.WireRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes what an engines run reads: a repository of the models, and a request to each. */
public final class EngineFiles {
  private EngineFiles() {}

  /**
   * Writes {@code models/NAME} and {@code requests/NAME.json}.
   *
   * @param args the directory, made if it is not there
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, a directory");
    }
    Path requests = Files.createDirectories(Path.of(args[0], "requests"));
    for (BackendModel model : BackendModel.values()) {
      model.write(Path.of(args[0], "models"));
      try (TensorMap row = model.rows(1)) {
        Files.write(requests.resolve(model.servedName() + ".json"), WireRequest.json(row));
      }
    }
  }
}
