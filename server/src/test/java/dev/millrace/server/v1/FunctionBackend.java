package dev.millrace.server.v1;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.DataType;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** Models written in Java, by name: see {@link #MODELS}. */
final class FunctionBackend implements Backend {
  private static final int ROWS = 16;

  private record Model(
      List<TensorSpec> inputs,
      List<TensorSpec> outputs,
      int maxBatchSize,
      Function<TensorMap, TensorMap> function) {}

  private static final Map<String, Model> MODELS = new LinkedHashMap<>();

  static {
    model(
        "half_plus_two",
        List.of(spec("x", DataType.FP32, -1)),
        List.of(spec("y", DataType.FP32, -1)),
        inputs -> TensorMap.of("y", map(inputs, "x", x -> x / 2 + 2)));
    model(
        "pair",
        List.of(spec("a", DataType.FP32, -1, 2), spec("b", DataType.INT64, -1)),
        List.of(spec("double_a", DataType.FP32, -1, 2), spec("same_b", DataType.INT64, -1)),
        inputs ->
            TensorMap.of("double_a", map(inputs, "a", a -> 2 * a), "same_b", copy(inputs, "b")));
    model(
        "text",
        List.of(spec("t", DataType.BYTES, -1)),
        List.of(spec("same", DataType.BYTES, -1)),
        inputs -> TensorMap.of("same", copy(inputs, "t")));
    model(
        "bytes",
        List.of(spec("t", DataType.BYTES, -1)),
        List.of(spec("same_bytes", DataType.BYTES, -1)),
        inputs -> TensorMap.of("same_bytes", copy(inputs, "t")));
    for (DataType type : DataType.values()) {
      model(
          "same_" + type,
          List.of(spec("in", type, -1, -1)),
          List.of(spec("out", type, -1, -1)),
          inputs -> TensorMap.of("out", copy(inputs, "in")));
    }
    Function<TensorMap, Tensor> scores = inputs -> map(inputs, "x", x -> x / 4);
    model(
        "classifier",
        List.of(spec("x", DataType.FP32, -1, 2)),
        List.of(spec("scores", DataType.FP32, -1, 2), spec("classes", DataType.BYTES, -1, 2)),
        inputs -> TensorMap.of("scores", scores.apply(inputs), "classes", labels(inputs)));
    model(
        "scores",
        List.of(spec("x", DataType.FP32, -1, 2)),
        List.of(spec("scores", DataType.FP32, -1, 2)),
        inputs -> TensorMap.of("scores", scores.apply(inputs)));
    MODELS.put(
        "scalars",
        new Model(
            List.of(spec("x", DataType.FP32)),
            List.of(spec("y", DataType.FP32)),
            0,
            inputs -> TensorMap.of("y", map(inputs, "x", x -> -x))));
    MODELS.put(
        "one_column",
        new Model(
            List.of(spec("x", DataType.FP32, -1, 1)),
            List.of(spec("y", DataType.FP32, -1, 1)),
            0,
            inputs -> TensorMap.of("y", map(inputs, "x", x -> -x))));
    MODELS.put(
        "optional",
        new Model(
            List.of(
                spec("x", DataType.FP32, -1),
                new TensorSpec("bias", DataType.FP32, Shape.of(1), true)),
            List.of(spec("y", DataType.FP32, -1)),
            0,
            FunctionBackend::withBias));
    MODELS.put(
        "script",
        new Model(
            List.of(),
            List.of(),
            0,
            inputs -> TensorMap.of("predictions", bracketed(inputs.tensor(0)))));
    MODELS.put(
        "no_json",
        new Model(
            List.of(),
            List.of(),
            0,
            inputs -> TensorMap.of("predictions", Tensor.copyOf(Shape.of(1), "{no"))));
  }

  private static void model(
      String name,
      List<TensorSpec> inputs,
      List<TensorSpec> outputs,
      Function<TensorMap, TensorMap> function) {
    MODELS.put(name, new Model(inputs, outputs, ROWS, function));
  }

  private static TensorSpec spec(String name, DataType type, long... dims) {
    return new TensorSpec(name, type, Shape.of(dims));
  }

  private interface FloatFunction {
    float apply(float value);
  }

  private static Tensor map(TensorMap inputs, String name, FloatFunction function) {
    Tensor input = requireNonNull(inputs.get(name));
    float[] values = input.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] = function.apply(values[i]);
    }
    return Tensor.copyOf(input.shape(), values);
  }

  private static Tensor copy(TensorMap inputs, String name) {
    Tensor input = requireNonNull(inputs.get(name));
    return Tensor.copyOf(input.dataType(), input.shape(), input.data());
  }

  private static Tensor labels(TensorMap inputs) {
    Tensor input = requireNonNull(inputs.get("x"));
    List<byte[]> labels = new ArrayList<>();
    for (int i = 0; i < input.elementCount(); i++) {
      labels.add((i % 2 == 0 ? "cat" : "dog").getBytes(StandardCharsets.UTF_8));
    }
    return Tensor.copyOf(input.shape(), labels);
  }

  private static TensorMap withBias(TensorMap inputs) {
    Tensor bias = inputs.get("bias");
    float added = bias == null ? 100 : bias.toFloats()[0];
    return TensorMap.of("y", map(inputs, "x", x -> x + added));
  }

  private static Tensor bracketed(Tensor instances) {
    List<byte[]> rows = new ArrayList<>();
    for (String row : instances.toStrings()) {
      rows.add(("[" + row + "]").getBytes(StandardCharsets.UTF_8));
    }
    return Tensor.copyOf(instances.shape(), rows);
  }

  /** Writes a repository of all models, each with version 1, into {@code directory}. */
  static Path repository(Path directory) throws IOException {
    for (String model : MODELS.keySet()) {
      version(directory, model, 1);
    }
    return directory;
  }

  /** Adds a version of a model. */
  static Path version(Path directory, String model, int version) throws IOException {
    Path path = Files.createDirectories(directory.resolve(model).resolve("" + version));
    Files.writeString(path.resolve("model.function"), model);
    Files.writeString(path.resolve("model.yaml"), "warm-up: false\n");
    return path;
  }

  @Override
  public String name() {
    return "function";
  }

  @Override
  public String modelFiles() {
    return "model.function";
  }

  @Override
  public Optional<Path> findModel(Path path) {
    return Optional.of(path.resolve("model.function")).filter(Files::exists);
  }

  @Override
  public TensorModel load(ModelSource source) {
    if (source.id().name().equals("signed")) {
      return new SignedModel(source.id());
    }
    Model model = requireNonNull(MODELS.get(source.id().name()), source.id().name());
    ModelId id = source.id();
    ModelMetadata metadata =
        new ModelMetadata(
            id, "java_function", model.inputs, model.outputs, model.maxBatchSize, Map.of());
    return new FunctionModel(metadata, model.function);
  }

  private record FunctionModel(ModelMetadata metadata, Function<TensorMap, TensorMap> function)
      implements TensorModel {
    @Override
    public Predictor newPredictor() {
      return new FunctionPredictor(function);
    }

    @Override
    public void close() {}
  }

  private record FunctionPredictor(Function<TensorMap, TensorMap> function) implements Predictor {
    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      TensorMap all = function.apply(inputs);
      if (requestedOutputs.isEmpty()) {
        return all;
      }
      try (all;
          TensorMap.Builder selected = TensorMap.builder()) {
        for (String name : requestedOutputs) {
          selected.put(name, copy(all, name));
        }
        return selected.build();
      }
    }

    @Override
    public void close() {}
  }
}
