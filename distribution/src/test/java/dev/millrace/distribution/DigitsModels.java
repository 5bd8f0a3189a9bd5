package dev.millrace.distribution;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A classifier of handwritten digits, trained once and exported three ways. What was trained, and
 * exported to TorchScript and ONNX, is made by {@code make_models.py} of {@code backends/pytorch};
 * the SavedModel is made of the same weights by {@code Digits} of {@code backends/tensorflow}.
 */
final class DigitsModels {
  /** One for each engine. */
  static final List<String> NAMES = List.of("digits_onnx", "digits_tensorflow", "digits_pytorch");

  private static final Path BACKENDS = Path.of("..", "backends");
  private static final Path TRAINED = BACKENDS.resolve("pytorch/src/test/resources/models");
  private static final Path SAVED_MODEL =
      BACKENDS.resolve("tensorflow/src/test/resources/models/digits/saved_model.pb");

  private DigitsModels() {}

  /** Writes a repository of the three models in Triton's layout. */
  static void write(Path repository) throws IOException {
    copy(TRAINED.resolve("digits.onnx"), repository.resolve("digits_onnx/1/model.onnx"));
    copy(SAVED_MODEL, repository.resolve("digits_tensorflow/1/model.savedmodel/saved_model.pb"));
    copy(TRAINED.resolve("digits.pt"), repository.resolve("digits_pytorch/1/model.pt"));
    config(repository, "digits_onnx", "platform: \"onnxruntime_onnx\"");
    config(repository, "digits_tensorflow", "platform: \"tensorflow_savedmodel\"");
    config(repository, "digits_pytorch", "backend: \"pytorch\"");
  }

  private static void copy(Path from, Path to) throws IOException {
    Files.createDirectories(to.getParent());
    Files.copy(from, to);
  }

  private static void config(Path repository, String model, String engine) throws IOException {
    Files.writeString(
        repository.resolve(model).resolve("config.pbtxt"),
        """
        name: "%s"
        %s
        max_batch_size: 16
        input { name: "pixels" data_type: TYPE_FP32 dims: [ 64 ] }
        output { name: "logits" data_type: TYPE_FP32 dims: [ 10 ] }
        """
            .formatted(model, engine));
  }

  /** Rows of pixels that the model was not trained on. */
  static float[][] rows(int count) throws IOException {
    float[][] table = table("digits.csv", count);
    for (int i = 0; i < count; i++) {
      table[i] = java.util.Arrays.copyOf(table[i], 64); // the last column is the digit
    }
    return table;
  }

  /** What PyTorch for Python gave for them, one row after the other; of 16 rows at most. */
  static float[] logits(int count) throws IOException {
    float[][] table = table("digits-logits.csv", count);
    float[] logits = new float[count * 10];
    for (int i = 0; i < count; i++) {
      System.arraycopy(table[i], 0, logits, i * 10, 10);
    }
    return logits;
  }

  private static float[][] table(String name, int count) throws IOException {
    List<String> lines = Files.readAllLines(TRAINED.resolve(name));
    float[][] table = new float[count][];
    for (int i = 0; i < count; i++) {
      String[] cells = lines.get(i).split(",", -1);
      table[i] = new float[cells.length];
      for (int j = 0; j < cells.length; j++) {
        table[i][j] = Float.parseFloat(cells[j]);
      }
    }
    return table;
  }
}
