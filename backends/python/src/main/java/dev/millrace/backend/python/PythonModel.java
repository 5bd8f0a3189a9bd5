package dev.millrace.backend.python;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/** A script; all predictors share its processes. */
final class PythonModel implements TensorModel {
  private final WorkerPool pool;
  private final ModelMetadata metadata;
  private final boolean usesParameters;
  private final boolean streams;

  /**
   * A model over a pool, which it takes over.
   *
   * @param facts what the workers say of the script
   */
  PythonModel(WorkerPool pool, ModelMetadata metadata, Map<String, String> facts) {
    this.pool = pool;
    this.metadata = metadata;
    this.usesParameters = Boolean.parseBoolean(facts.getOrDefault("parameters", ""));
    this.streams = Boolean.parseBoolean(facts.getOrDefault("streams", ""));
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
    return streams;
  }

  @Override
  public Flow.Publisher<TensorMap> stream(
      TensorMap inputs, List<String> requestedOutputs, Parameters parameters, Deadline deadline) {
    return subscriber ->
        new StreamCall<>(
                pool, new Streaming(inputs, requestedOutputs, parameters), deadline, subscriber)
            .start();
  }

  @Override
  public Predictor newPredictor() {
    return new PythonPredictor(pool);
  }

  @Override
  public void close() {
    pool.close();
  }

  /** A call for a stream as frames, and its answer. */
  private record Streaming(TensorMap inputs, List<String> requested, Parameters parameters)
      implements StreamCall.Exchange<TensorMap> {
    @Override
    public void begin(Connection connection) throws IOException {
      connection.stream(PythonPredictor.verb(inputs), inputs, parameters);
    }

    @Override
    public @Nullable TensorMap next(Connection connection) throws IOException, ScriptError {
      return connection.nextResult();
    }

    @Override
    public TensorMap finish(TensorMap outputs) {
      return requested.isEmpty() ? outputs : PythonPredictor.select(outputs, requested);
    }

    @Override
    public void discard(TensorMap outputs) {
      outputs.close();
    }

    @Override
    public void close() {
      inputs.close();
    }
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
