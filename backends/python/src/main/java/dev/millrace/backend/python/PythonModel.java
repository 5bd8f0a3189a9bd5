package dev.millrace.backend.python;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.util.List;

/** A script; all predictors share its processes. */
final class PythonModel implements TensorModel {
  private final WorkerPool pool;
  private final ModelMetadata metadata;
  private final boolean usesParameters;

  /**
   * A model over a pool, which it takes over.
   *
   * @param usesParameters whether the script asks for headers, or for requests that have parameters
   */
  PythonModel(WorkerPool pool, ModelMetadata metadata, boolean usesParameters) {
    this.pool = pool;
    this.metadata = metadata;
    this.usesParameters = usesParameters;
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
  public Predictor newPredictor() {
    return new PythonPredictor(pool);
  }

  @Override
  public void close() {
    pool.close();
  }

  /** One call at a time, in whichever process is free. */
  private record PythonPredictor(WorkerPool pool) implements Predictor {
    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      return predict(inputs, requestedOutputs, Parameters.empty());
    }

    @Override
    public TensorMap predict(
        TensorMap inputs, List<String> requestedOutputs, Parameters parameters) {
      if (inputs.isEmpty()) {
        throw InferenceException.invalidArgument("a script is not called without inputs");
      }
      TensorMap outputs = pool.call(verb(inputs), inputs, parameters);
      return requestedOutputs.isEmpty() ? outputs : select(outputs, requestedOutputs);
    }

    private static Verb verb(TensorMap inputs) {
      return switch (inputs.name(0)) {
        case "classify:instances", "classify:inputs" -> Verb.CLASSIFY;
        case "regress:instances", "regress:inputs" -> Verb.REGRESS;
        default -> Verb.PREDICT;
      };
    }

    /** The outputs asked for; takes all of them over. */
    private static TensorMap select(TensorMap outputs, List<String> names) {
      for (String name : names) {
        if (outputs.get(name) == null) {
          List<String> given = outputs.names();
          outputs.close();
          throw InferenceException.invalidArgument(
              "the script gave no output '%s'; it gave %s".formatted(name, given));
        }
      }
      TensorMap.Builder selected = TensorMap.builder();
      for (int i = 0; i < outputs.size(); i++) {
        if (!names.contains(outputs.name(i))) {
          outputs.tensor(i).close();
        }
      }
      for (String name : names) {
        Tensor tensor = outputs.get(name);
        if (tensor != null && !selected.contains(name)) {
          selected.put(name, tensor);
        }
      }
      return selected.build();
    }

    @Override
    public void close() {}
  }
}
