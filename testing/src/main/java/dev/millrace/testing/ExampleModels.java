package dev.millrace.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes the models of {@code examples/} that are made here and not trained. */
public final class ExampleModels {
  private ExampleModels() {}

  /** The files, by path under {@code examples/}. */
  static Map<String, byte[]> files() {
    Map<String, byte[]> files = new LinkedHashMap<>();
    files.put("simple/1/model.onnx", OnnxModels.simple());
    files.put("simple_string/1/model.onnx", OnnxModels.simpleString());
    files.put("simple_identity/1/model.onnx", OnnxModels.simpleIdentity());
    return files;
  }

  /**
   * Writes the files.
   *
   * @param args the directory of the examples
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, the directory of the examples");
    }
    for (Map.Entry<String, byte[]> file : files().entrySet()) {
      Path path = Path.of(args[0]).resolve(file.getKey());
      Files.createDirectories(path.getParent());
      Files.write(path, file.getValue());
    }
  }
}
