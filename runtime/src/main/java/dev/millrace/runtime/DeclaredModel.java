package dev.millrace.runtime;

import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Flow;

/**
 * A model as its {@code config.pbtxt} declares it: with the sizes that it leaves open and the
 * configuration does not, in the shapes that clients are to see, and with the outputs that are to
 * be served. Thread-safe.
 */
final class DeclaredModel implements TensorModel {
  private final TensorModel model;
  private final TritonConfig config;
  private final ModelMetadata metadata;

  private DeclaredModel(TensorModel model, TritonConfig config, ModelMetadata metadata) {
    this.model = model;
    this.config = config;
    this.metadata = metadata;
  }

  /**
   * The model as it is declared, which owns {@code model}.
   *
   * @throws InferenceException FAILED_PRECONDITION if the configuration contradicts the model, with
   *     what both say; the model is then still the caller's
   */
  static TensorModel of(TensorModel model, TritonConfig config) {
    if (config.inputs().isEmpty() && config.outputs().isEmpty()) {
      return model;
    }
    ModelMetadata own = model.metadata();
    List<TensorSpec> inputs = new ArrayList<>();
    for (DeclaredTensor input : config.inputs()) {
      inputs.add(declared(input, "input", own.inputs()));
    }
    for (TensorSpec input : own.inputs()) { // what is not declared is as the model says
      if (config.input(input.name()).isEmpty()) {
        inputs.add(input);
      }
    }
    List<TensorSpec> outputs = new ArrayList<>();
    for (DeclaredTensor output : config.outputs()) {
      outputs.add(declared(output, "output", own.outputs()));
    }
    return new DeclaredModel(
        model,
        config,
        own.withInputs(inputs).withOutputs(outputs.isEmpty() ? own.outputs() : outputs));
  }

  private static TensorSpec declared(DeclaredTensor tensor, String side, List<TensorSpec> own) {
    if (own.isEmpty()) { // the model does not say
      return new TensorSpec(tensor.name(), tensor.dataType(), tensor.shape());
    }
    TensorSpec spec =
        own.stream()
            .filter(each -> each.name().equals(tensor.name()))
            .findFirst()
            .orElseThrow(() ->
                contradiction(
                    "%s declares the %s '%s', the model has %s"
                        .formatted(
                            tensor.place(),
                            side,
                            tensor.name(),
                            own.stream().map(each -> "'" + each.name() + "'").toList())));
    if (spec.dataType() != tensor.dataType() || !fits(spec.shape(), tensor.inner())) {
      throw contradiction(
          "%s declares the %s '%s' as %s%s%s, the model has %s%s"
              .formatted(
                  tensor.place(),
                  side,
                  tensor.name(),
                  tensor.dataType(),
                  tensor.shape(),
                  tensor.modelShape().map(inner -> " reshaped to " + inner).orElse(""),
                  spec.dataType(),
                  spec.shape()));
    }
    return new TensorSpec(tensor.name(), tensor.dataType(), tensor.shape(), spec.optional());
  }

  /** Whether the model takes, or may give, all that is declared. */
  private static boolean fits(Shape model, Shape declared) {
    if (!model.hasRank()) {
      return true;
    }
    if (model.rank() != declared.rank()) {
      return false;
    }
    for (int i = 0; i < model.rank(); i++) {
      if (model.dim(i) != Shape.ANY && model.dim(i) != declared.dim(i)) {
        return false;
      }
    }
    return true;
  }

  private static InferenceException contradiction(String message) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, message);
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public Predictor newPredictor() {
    boolean selects = !config.outputs().isEmpty();
    Predictor predictor = model.newPredictor();
    return reshapes() || selects ? new DeclaredPredictor(predictor) : predictor;
  }

  private boolean reshapes() {
    return config.inputs().stream().anyMatch(tensor -> tensor.modelShape().isPresent())
        || config.outputs().stream().anyMatch(tensor -> tensor.modelShape().isPresent());
  }

  @Override
  public boolean usesParameters() {
    return model.usesParameters();
  }

  /** Unless what is streamed would have to be reshaped. */
  @Override
  public boolean streams() {
    return model.streams() && !reshapes();
  }

  @Override
  public Flow.Publisher<TensorMap> stream(
      TensorMap inputs, List<String> requestedOutputs, Parameters parameters, Deadline deadline) {
    List<String> requested =
        requestedOutputs.isEmpty()
            ? config.outputs().stream().map(DeclaredTensor::name).toList()
            : requestedOutputs;
    return model.stream(inputs, requested, parameters, deadline);
  }

  @Override
  public Map<String, TensorModel> signatures() {
    return model.signatures();
  }

  @Override
  public void close() {
    model.close();
  }

  /** Between the shapes of clients and of the model. */
  private final class DeclaredPredictor implements Predictor {
    private final Predictor predictor;
    private final List<String> outputs;

    DeclaredPredictor(Predictor predictor) {
      this.predictor = predictor;
      this.outputs = config.outputs().stream().map(DeclaredTensor::name).toList();
    }

    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      return predict(inputs, requestedOutputs, Parameters.empty());
    }

    @Override
    public TensorMap predict(
        TensorMap inputs, List<String> requestedOutputs, Parameters parameters) {
      List<String> requested = requestedOutputs.isEmpty() ? outputs : requestedOutputs;
      try (TensorMap.Builder views = TensorMap.builder()) {
        for (int i = 0; i < inputs.size(); i++) {
          views.put(inputs.name(i), view(inputs.name(i), inputs.tensor(i)));
        }
        try (TensorMap taken = views.build()) {
          return shaped(predictor.predict(taken, requested, parameters));
        }
      }
    }

    /** A tensor over the memory of an input, which stays its owner's. */
    private Tensor view(String name, Tensor input) {
      Shape shape = input.shape();
      DeclaredTensor declared = config.input(name).orElse(null);
      if (declared != null && declared.modelShape().isPresent()) {
        shape =
            DeclaredTensor.reshaped(shape, declared.shape(), declared.inner())
                .orElseThrow(() ->
                    InferenceException.invalidArgument(
                        "input '%s' is %s, which cannot be made %s"
                            .formatted(name, input.shape(), declared.inner())));
      }
      return Tensor.wrap(input.dataType(), shape, input.data());
    }

    private TensorMap shaped(TensorMap given) {
      TensorMap.Builder shaped = TensorMap.builder();
      try {
        for (int i = 0; i < given.size(); i++) {
          shaped.put(given.name(i), shaped(given.name(i), given.tensor(i)));
        }
        return shaped.build();
      } catch (RuntimeException e) {
        given.close();
        throw e;
      }
    }

    private Tensor shaped(String name, Tensor output) {
      DeclaredTensor declared = config.output(name).orElse(null);
      if (declared == null) {
        return output;
      }
      DataType type = output.dataType();
      if (type != declared.dataType() || !declared.inner().accepts(output.shape())) {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "%s declares the output '%s' as %s%s, the model gave %s"
                .formatted(declared.place(), name, declared.dataType(), declared.inner(), output));
      }
      if (declared.modelShape().isEmpty()) {
        return output;
      }
      Shape shape =
          DeclaredTensor.reshaped(output.shape(), declared.inner(), declared.shape())
              .orElseThrow(() ->
                  new InferenceException(
                      ErrorCode.INTERNAL,
                      "output '%s' is %s, which cannot be made %s"
                          .formatted(name, output, declared.shape())));
      return Tensor.wrap(type, shape, output.data(), output);
    }

    @Override
    public void abandon() {
      predictor.abandon();
    }

    @Override
    public void close() {
      predictor.close();
    }
  }
}
