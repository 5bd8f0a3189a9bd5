package dev.millrace.runtime;

import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * Loads {@code *.fake} files, which hold one number: the model multiplies its input X FP32[-1,2] by
 * it to give Y, and gives X itself as Z. A file that holds no number does not load. It can be told
 * to stream: then it gives Y and X times 1, 2, 3 and so on.
 */
final class FakeBackend implements Backend {
  static final List<TensorSpec> INPUTS =
      List.of(new TensorSpec("X", DataType.FP32, Shape.of(-1, 2)));
  static final List<TensorSpec> OUTPUTS =
      List.of(
          new TensorSpec("Y", DataType.FP32, Shape.of(-1, 2)),
          new TensorSpec("Z", DataType.FP32, Shape.of(-1, 2)));

  final AtomicInteger openModels = new AtomicInteger();
  final AtomicInteger openPredictors = new AtomicInteger();
  final List<ModelSource> loads = new CopyOnWriteArrayList<>();
  final List<String> runs = new CopyOnWriteArrayList<>();

  volatile List<Device> devices = List.of(Device.CPU);
  volatile GpuSupport gpuSupport = new GpuSupport.None("it pretends to have none");
  volatile int maxBatchSize = 8;

  /** How many responses a request gets in a stream; 0 if it does not stream. */
  volatile int responses;

  /** Whether models are given headers and parameters; they are in {@link #runs} then. */
  volatile boolean usesParameters;

  volatile Consumer<ModelSource> onLoad = source -> {};
  volatile Consumer<TensorMap> onPredict = inputs -> {};

  /** Names of signatures that models have beside their own, all of which do the same. */
  volatile List<String> signatures = List.of();

  /** Is told of each predictor that is made for one of these. */
  volatile Consumer<String> onSignature = name -> {};

  private final String name;

  FakeBackend() {
    this("fake");
  }

  FakeBackend(String name) {
    this.name = name;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String modelFiles() {
    return "*." + name;
  }

  @Override
  public List<Device> devices() {
    return devices;
  }

  @Override
  public GpuSupport gpuSupport() {
    return gpuSupport;
  }

  @Override
  public Optional<Path> findModel(Path path) {
    if (!Files.isDirectory(path)) {
      return path.toString().endsWith("." + name) ? Optional.of(path) : Optional.empty();
    }
    List<Path> found = new ArrayList<>();
    try (var children = Files.newDirectoryStream(path, "*." + name)) {
      children.forEach(found::add);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (found.size() > 1) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, path + " has several models and none is the obvious one");
    }
    return found.stream().findFirst();
  }

  @Override
  public TensorModel load(ModelSource source) {
    loads.add(source);
    onLoad.accept(source);
    float factor;
    try {
      factor = Float.parseFloat(Files.readString(source.path()).strip());
    } catch (IOException | NumberFormatException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, source.path() + " is not a fake model", e);
    }
    source.settings().string("level");
    source.settings().rejectUnknown();
    return new FakeModel(source, factor);
  }

  private final class FakeModel implements TensorModel {
    private final ModelMetadata metadata;
    private final float factor;
    private final AtomicInteger predictors = new AtomicInteger();

    FakeModel(ModelSource source, float factor) {
      this.metadata =
          new ModelMetadata(source.id(), "fake_v1", INPUTS, OUTPUTS, maxBatchSize, Map.of());
      this.factor = factor;
      openModels.incrementAndGet();
    }

    @Override
    public ModelMetadata metadata() {
      return metadata;
    }

    @Override
    public boolean usesParameters() {
      return usesParameters;
    }

    @Override
    public boolean streams() {
      return responses > 0;
    }

    @Override
    public Flow.Publisher<TensorMap> stream(
        TensorMap inputs, List<String> requested, Parameters parameters, Deadline deadline) {
      return subscriber -> subscriber.onSubscribe(new Responses(this, inputs, subscriber));
    }

    @Override
    public Predictor newPredictor() {
      openPredictors.incrementAndGet();
      predictors.incrementAndGet();
      return new FakePredictor(this);
    }

    @Override
    public Map<String, TensorModel> signatures() {
      Map<String, TensorModel> models = new LinkedHashMap<>();
      signatures.forEach(name -> models.put(name, new FakeSignature(name, this)));
      return models;
    }

    @Override
    public void close() {
      if (predictors.get() != 0) {
        throw new IllegalStateException("the model is closed before its predictors");
      }
      openModels.decrementAndGet();
    }
  }

  private final class FakeSignature implements TensorModel {
    private final String name;
    private final FakeModel model;

    FakeSignature(String name, FakeModel model) {
      this.name = name;
      this.model = model;
    }

    @Override
    public ModelMetadata metadata() {
      return model.metadata();
    }

    @Override
    public Predictor newPredictor() {
      onSignature.accept(name);
      return model.newPredictor();
    }

    @Override
    public void close() {}
  }

  /** Gives what is asked for at once, in the thread that asks. */
  private final class Responses implements Flow.Subscription {
    private final FakeModel model;
    private final TensorMap inputs;
    private final Flow.Subscriber<? super TensorMap> subscriber;
    private int given;
    private boolean over;

    Responses(FakeModel model, TensorMap inputs, Flow.Subscriber<? super TensorMap> subscriber) {
      this.model = model;
      this.inputs = inputs;
      this.subscriber = subscriber;
    }

    @Override
    public void request(long count) {
      for (long i = 0; i < count && !over; i++) {
        float[] values = inputs.tensor(0).toFloats();
        for (int j = 0; j < values.length; j++) {
          values[j] *= model.factor * (given + 1);
        }
        runs.add("response " + given);
        given++;
        subscriber.onNext(TensorMap.of("Y", Tensor.copyOf(inputs.tensor(0).shape(), values)));
        if (given == responses && !over) {
          cancel();
          subscriber.onComplete();
        }
      }
    }

    @Override
    public void cancel() {
      if (!over) {
        over = true;
        inputs.close();
      }
    }
  }

  private final class FakePredictor implements Predictor {
    private final FakeModel model;

    FakePredictor(FakeModel model) {
      this.model = model;
    }

    @Override
    public TensorMap predict(
        TensorMap inputs, List<String> requestedOutputs, Parameters parameters) {
      if (!parameters.isEmpty()) {
        runs.add(parameters.toString());
      }
      return predict(inputs, requestedOutputs);
    }

    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      runs.add(inputs.toString());
      onPredict.accept(inputs);
      Tensor x = inputs.get("X");
      if (x == null) {
        throw new IllegalStateException("no X");
      }
      List<String> wanted = requestedOutputs.isEmpty() ? List.of("Y", "Z") : requestedOutputs;
      TensorMap.Builder outputs = TensorMap.builder();
      for (String output : wanted) {
        float[] values = x.toFloats();
        if (output.equals("Y")) {
          for (int i = 0; i < values.length; i++) {
            values[i] *= model.factor;
          }
        }
        outputs.put(output, Tensor.copyOf(x.shape(), values));
      }
      return outputs.build();
    }

    @Override
    public void close() {
      model.predictors.decrementAndGet();
      openPredictors.decrementAndGet();
    }
  }
}
