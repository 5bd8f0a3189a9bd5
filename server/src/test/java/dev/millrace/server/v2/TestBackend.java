package dev.millrace.server.v2;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Models written in Java, by name: {@code simple} adds and subtracts; {@code identity_fp32} (or
 * another datatype) gives its only input back; {@code echo} gives back whatever it gets; {@code
 * gated}, and {@code gated…simple}, do so when they are let; {@code broken} fails.
 */
public final class TestBackend implements Backend {
  /** How many runs of {@code gated} may go on. */
  public final Semaphore gate = new Semaphore(0);

  /** How many runs of {@code gated} have begun. */
  public final AtomicInteger gated = new AtomicInteger();

  /** Writes a repository of these models, each with version 1, into {@code directory}. */
  public static Path repository(Path directory, String... models) throws IOException {
    for (String model : models) {
      Path version = Files.createDirectories(directory.resolve(model).resolve("1"));
      Files.writeString(version.resolve("model.test"), model);
      Files.writeString(version.resolve("model.yaml"), "warm-up: false\n");
    }
    return directory;
  }

  @Override
  public String name() {
    return "test";
  }

  @Override
  public String modelFiles() {
    return "model.test";
  }

  @Override
  public Optional<Path> findModel(Path path) {
    Path file = path.resolve("model.test");
    return Files.exists(file) ? Optional.of(file) : Optional.empty();
  }

  @Override
  public Servable load(ModelSource source) {
    return new Model(metadata(source.id()));
  }

  private static ModelMetadata metadata(ModelId id) {
    String name = id.name();
    if (name.equals("simple") || (name.startsWith("gated") && name.endsWith("simple"))) {
      return new ModelMetadata(
          id,
          "test",
          List.of(int32("INPUT0"), int32("INPUT1")),
          List.of(int32("OUTPUT0"), int32("OUTPUT1")),
          8,
          Map.of());
    }
    if (name.startsWith("identity_")) {
      DataType type = DataType.of(name.substring("identity_".length()));
      Shape shape = type == DataType.BYTES ? Shape.of(-1, 1) : Shape.of(-1, -1);
      return new ModelMetadata(
          id,
          "test",
          List.of(new TensorSpec("INPUT0", type, shape)),
          List.of(new TensorSpec("OUTPUT0", type, shape)),
          8,
          Map.of());
    }
    if (name.equals("wild")) {
      return new ModelMetadata(
          id,
          "test",
          List.of(new TensorSpec("INPUT0", DataType.FP32, Shape.of(-1, -1, -1))),
          List.of(),
          0,
          Map.of());
    }
    return new ModelMetadata(id, "test", List.of(), List.of(), 0, Map.of());
  }

  private static TensorSpec int32(String name) {
    return new TensorSpec(name, DataType.INT32, Shape.of(-1, 16));
  }

  private final class Model implements TensorModel {
    private final ModelMetadata metadata;

    Model(ModelMetadata metadata) {
      this.metadata = metadata;
    }

    @Override
    public ModelMetadata metadata() {
      return metadata;
    }

    @Override
    public Predictor newPredictor() {
      return new Instance(metadata.id().name());
    }

    @Override
    public void close() {}
  }

  private final class Instance implements Predictor {
    private final String model;

    Instance(String model) {
      this.model = model;
    }

    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      if (model.startsWith("gated")) {
        gated.incrementAndGet();
        gate.acquireUninterruptibly();
      } else if (model.equals("broken")) {
        throw InferenceException.invalidArgument("the values are no good");
      }
      try (TensorMap.Builder outputs = TensorMap.builder()) {
        if (model.endsWith("simple")) {
          addAndSubtract(inputs, outputs);
        } else {
          for (int i = 0; i < inputs.size(); i++) {
            Tensor input = inputs.tensor(i);
            String name = model.startsWith("identity_") ? "OUTPUT0" : inputs.name(i);
            outputs.put(name, Tensor.copyOf(input.dataType(), input.shape(), input.data()));
          }
        }
        return select(outputs.build(), requestedOutputs);
      }
    }

    private static void addAndSubtract(TensorMap inputs, TensorMap.Builder outputs) {
      Tensor first = java.util.Objects.requireNonNull(inputs.get("INPUT0"));
      int[] a = first.toInts();
      int[] b = java.util.Objects.requireNonNull(inputs.get("INPUT1")).toInts();
      int[] sum = new int[a.length];
      int[] difference = new int[a.length];
      for (int i = 0; i < a.length; i++) {
        sum[i] = a[i] + b[i];
        difference[i] = a[i] - b[i];
      }
      outputs.put("OUTPUT0", Tensor.copyOf(first.shape(), sum));
      outputs.put("OUTPUT1", Tensor.copyOf(first.shape(), difference));
    }

    private static TensorMap select(TensorMap all, List<String> requested) {
      if (requested.isEmpty()) {
        return all;
      }
      try (all;
          TensorMap.Builder selected = TensorMap.builder()) {
        for (String name : requested) {
          Tensor tensor = all.get(name);
          if (tensor != null) {
            ByteBuffer data = tensor.data();
            selected.put(name, Tensor.copyOf(tensor.dataType(), tensor.shape(), data));
          }
        }
        return selected.build();
      }
    }

    @Override
    public void close() {}
  }
}
