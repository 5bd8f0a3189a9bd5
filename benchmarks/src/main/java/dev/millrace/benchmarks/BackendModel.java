package dev.millrace.benchmarks;

import static java.util.stream.Collectors.joining;

import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/** The models of the engines run: the same two for each of two backends. */
public enum BackendModel {
  /** {@link DenseLayers}, of about a millisecond, in TensorFlow. */
  TENSORFLOW("saved_model.pb", DenseLayers.INPUT, DenseLayers.NUMBERS) {
    @Override
    byte[] file() {
      return DenseSavedModel.file();
    }
  },

  /** The same in PyTorch. */
  PYTORCH("model.pt", DenseLayers.INPUT, DenseLayers.NUMBERS) {
    @Override
    byte[] file() throws IOException {
      return DenseTorchScript.file();
    }

    @Override
    Map<String, Object> section() {
      return Map.of(
          "inputs", List.of(declaration(DenseLayers.INPUT)),
          "outputs", List.of(declaration(DenseLayers.OUTPUT)));
    }

    private static Map<String, Object> declaration(String name) {
      return Map.of("name", name, "datatype", "FP32", "shape", List.of(-1, DenseLayers.NUMBERS));
    }
  },

  /** The digits of the backends' tests, of microseconds, in TensorFlow. */
  TENSORFLOW_DIGITS("saved_model.pb", "pixels", 64) {
    @Override
    byte[] file() throws IOException {
      return Files.readAllBytes(
          Path.of("../backends/tensorflow/src/test/resources/models/digits/saved_model.pb"));
    }
  },

  /** The same in PyTorch. */
  PYTORCH_DIGITS("model.pt", "pixels", 64) {
    @Override
    byte[] file() throws IOException {
      return Files.readAllBytes(Path.of("../backends/pytorch/src/test/resources/models/digits.pt"));
    }
  };

  private final String fileName;
  private final String input;
  private final int numbers;

  BackendModel(String fileName, String input, int numbers) {
    this.fileName = fileName;
    this.input = input;
    this.numbers = numbers;
  }

  abstract byte[] file() throws IOException;

  /** The backend's section of the model's configuration. */
  Map<String, Object> section() {
    return Map.of();
  }

  /** As {@link #section()}, for who loads the model without a server. */
  public Settings settings() {
    return Settings.of(servedName(), section());
  }

  /** Under which it is served. */
  public String servedName() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** The backend's name. */
  public String backend() {
    return servedName().replace("-digits", "");
  }

  /** As {@link #servedName()}. */
  public static BackendModel of(String servedName) {
    return valueOf(servedName.toUpperCase(Locale.ROOT).replace('-', '_'));
  }

  /** The version's directory in a repository. */
  public Path directory(Path repository) {
    return repository.resolve(servedName()).resolve("1");
  }

  /**
   * Writes the model into a repository. The files of the digits are found from the module's
   * directory, which is where the scripts run.
   */
  public void write(Path repository) throws IOException {
    Files.write(Files.createDirectories(directory(repository)).resolve(fileName), file());
    if (!section().isEmpty()) {
      Files.writeString(
          repository.resolve(servedName()).resolve("model.yaml"),
          backend() + ": " + yaml(section()) + "\n");
    }
  }

  private static String yaml(Object value) {
    return switch (value) {
      case Map<?, ?> map ->
          map.entrySet().stream()
              .map(entry -> entry.getKey() + ": " + yaml(entry.getValue()))
              .sorted()
              .collect(joining(", ", "{", "}"));
      case List<?> list -> list.stream().map(BackendModel::yaml).collect(joining(", ", "[", "]"));
      default -> value.toString();
    };
  }

  /** The inputs of one request, the same in all rows; the caller's. */
  public TensorMap rows(int count) {
    Random random = new Random(7);
    float[] values = new float[count * numbers];
    for (int i = 0; i < values.length; i++) {
      values[i] = i < numbers ? random.nextInt(0, 1600) / 100f : values[i - numbers];
    }
    return TensorMap.of(input, Tensor.copyOf(Shape.of(count, numbers), values));
  }
}
