package dev.millrace.server.grpc;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Models that answer with their inputs: {@code echo_<datatype>} has the input IN and the output OUT
 * of that datatype and shape [-1,-1]; {@code pair} has the inputs A and B and the outputs C and D
 * of INT32 [-1,2].
 */
public final class EchoBackend implements Backend {
  /** How many runs have begun; one permit for each. */
  final Semaphore entered = new Semaphore(0);

  private volatile CountDownLatch gate = new CountDownLatch(0);

  /** Makes a repository of all models. */
  public static Path repository(Path root) throws IOException {
    for (DataType type : DataType.values()) {
      write(root, name(type));
    }
    write(root, "pair");
    return root;
  }

  private static void write(Path root, String name) throws IOException {
    Files.writeString(
        Files.createDirectories(root.resolve(name).resolve("1")).resolve("model.echo"), name);
  }

  static String name(DataType type) {
    return "echo_" + type.name().toLowerCase(Locale.ROOT);
  }

  /** From now on runs wait. */
  void hold() {
    entered.drainPermits();
    gate = new CountDownLatch(1);
  }

  /** Lets all runs go on. */
  void release() {
    gate.countDown();
  }

  @Override
  public String name() {
    return "echo";
  }

  @Override
  public String modelFiles() {
    return "*.echo";
  }

  @Override
  public Optional<Path> findModel(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve("model.echo") : path;
    return file.toString().endsWith(".echo") && Files.exists(file)
        ? Optional.of(file)
        : Optional.empty();
  }

  @Override
  public TensorModel load(ModelSource source) {
    if (Files.exists(source.path().resolveSibling("broken"))) {
      throw InferenceException.invalidArgument("the model is broken");
    }
    String name = source.id().name();
    List<TensorSpec> inputs;
    List<TensorSpec> outputs;
    if (name.equals("pair")) {
      inputs = List.of(pair("A"), pair("B"));
      outputs = List.of(pair("C"), pair("D"));
    } else {
      DataType type = DataType.of(name.substring("echo_".length()));
      Shape any = Shape.of(-1, -1);
      inputs = List.of(new TensorSpec("IN", type, any));
      outputs = List.of(new TensorSpec("OUT", type, any));
    }
    ModelMetadata metadata =
        new ModelMetadata(source.id(), "echo_v1", inputs, outputs, 0, Map.of("made", "by hand"));
    return new EchoModel(metadata);
  }

  private static TensorSpec pair(String name) {
    return new TensorSpec(name, DataType.INT32, Shape.of(-1, 2));
  }

  private final class EchoModel implements TensorModel {
    private final ModelMetadata metadata;

    EchoModel(ModelMetadata metadata) {
      this.metadata = metadata;
    }

    @Override
    public ModelMetadata metadata() {
      return metadata;
    }

    @Override
    public Predictor newPredictor() {
      return new Predictor() {
        @Override
        public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
          return echo(metadata, inputs, requestedOutputs);
        }

        @Override
        public void close() {}
      };
    }

    @Override
    public void close() {}
  }

  private TensorMap echo(ModelMetadata metadata, TensorMap inputs, List<String> requested) {
    CountDownLatch held = gate;
    entered.release();
    try {
      if (!held.await(30, TimeUnit.SECONDS)) {
        throw new IllegalStateException("held for too long");
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    try (TensorMap.Builder outputs = TensorMap.builder()) {
      for (int i = 0; i < metadata.outputs().size(); i++) {
        String output = metadata.outputs().get(i).name();
        if (requested.isEmpty() || requested.contains(output)) {
          Tensor input = inputs.tensor(i);
          outputs.put(output, Tensor.copyOf(input.dataType(), input.shape(), input.data()));
        }
      }
      return outputs.build();
    }
  }
}
