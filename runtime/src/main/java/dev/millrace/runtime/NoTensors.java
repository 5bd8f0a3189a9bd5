package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.TensorModel;
import java.util.List;

/**
 * Stands where a tensor model is wanted for one that does not deal in tensors, and refuses them;
 * owns it.
 */
record NoTensors(Servable servable) implements TensorModel {
  @Override
  public ModelMetadata metadata() {
    return servable.metadata();
  }

  @Override
  public Predictor newPredictor() {
    return new Predictor() {
      @Override
      public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
        throw new InferenceException(
            ErrorCode.UNIMPLEMENTED,
            "model '%s' takes text and no tensors: call it in the form of OpenAI's API, as by /v1/chat/completions"
                .formatted(metadata().id().name()));
      }

      @Override
      public void close() {}
    };
  }

  @Override
  public void close() {
    servable.close();
  }
}
