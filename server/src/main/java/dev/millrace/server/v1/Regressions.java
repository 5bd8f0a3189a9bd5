package dev.millrace.server.v1;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A model's output as one number for each example: the output {@code outputs}, or else the only
 * one.
 */
final class Regressions {
  private static final String OUTPUTS = "outputs";

  private final DataType type;
  private final ByteBuffer data;
  private final int examples;

  /**
   * @param outputs to be open as long as this is used
   * @throws InferenceException INVALID_ARGUMENT if the outputs are no regression
   */
  Regressions(TensorMap outputs) {
    @Nullable Tensor found = outputs.get(OUTPUTS);
    Tensor output = found == null && outputs.size() == 1 ? outputs.tensor(0) : found;
    if (output == null
        || !ElementCollector.isFloatingPoint(output.dataType())
        || output.shape().rank() == 0
        || output.elementCount() != output.shape().dim(0)) {
      throw InferenceException.invalidArgument(
          "the model gives no regression: regress takes an output '%s', or a single one, of floating-point numbers of shape [examples] or [examples, 1]; it gives %s"
              .formatted(OUTPUTS, outputs));
    }
    type = output.dataType();
    data = output.data();
    examples = Math.toIntExact(output.elementCount());
  }

  int examples() {
    return examples;
  }

  float value(int example) {
    return Classifications.number(type, data, example);
  }
}
