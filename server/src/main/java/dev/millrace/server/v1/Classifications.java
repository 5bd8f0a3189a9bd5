package dev.millrace.server.v1;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.json.JsonNumbers;
import java.nio.ByteBuffer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model's outputs as classes with scores, for each example.
 *
 * <p>Scores are the output {@code scores}, or else the only one of floating-point numbers; labels
 * are the output {@code classes}, or else the only one of texts. A model without labels has its
 * classes numbered, one with a single number for each example has one class.
 */
final class Classifications {
  private static final String SCORES = "scores";
  private static final String CLASSES = "classes";

  private final ByteBuffer scores;
  private final DataType scoreType;

  /** The labels of all examples in turn; null if the model has none. */
  private final @Nullable List<byte[]> labels;

  private final int examples;
  private final int classes;

  /**
   * @param outputs to be open as long as this is used
   * @throws InferenceException INVALID_ARGUMENT if the outputs are no classification
   */
  Classifications(TensorMap outputs) {
    Tensor scored = find(outputs, SCORES, Classifications::isScore);
    Tensor labelled = find(outputs, CLASSES, tensor -> tensor.dataType() == DataType.BYTES);
    if (scored == null || !isScore(scored)) {
      throw InferenceException.invalidArgument(
          "the model gives no scores: classify takes an output '%s', or a single one of floating-point numbers, of shape [examples, classes]; it gives %s"
              .formatted(SCORES, outputs));
    }
    examples = Math.toIntExact(scored.shape().dim(0));
    classes = examples == 0 ? 0 : Math.toIntExact(scored.elementCount() / examples);
    scores = scored.data();
    scoreType = scored.dataType();
    labels =
        labelled != null
                && labelled.dataType() == DataType.BYTES
                && labelled.elementCount() == scored.elementCount()
            ? labelled.toBytes()
            : null;
  }

  private interface Kind {
    boolean fits(Tensor tensor);
  }

  private static @Nullable Tensor find(TensorMap outputs, String name, Kind kind) {
    Tensor named = outputs.get(name);
    if (named != null) {
      return named;
    }
    Tensor only = null;
    for (int i = 0; i < outputs.size(); i++) {
      if (kind.fits(outputs.tensor(i))) {
        if (only != null) {
          return null;
        }
        only = outputs.tensor(i);
      }
    }
    return only;
  }

  private static boolean isScore(Tensor tensor) {
    int rank = tensor.shape().rank();
    return ElementCollector.isFloatingPoint(tensor.dataType()) && (rank == 1 || rank == 2);
  }

  int examples() {
    return examples;
  }

  /** How many classes each example has. */
  int classes() {
    return classes;
  }

  float score(int example, int index) {
    return number(scoreType, scores, example * classes + index);
  }

  String label(int example, int index) {
    return labels == null
        ? Integer.toString(index)
        : new String(labels.get(example * classes + index), UTF_8);
  }

  /** An element of a tensor of floating-point numbers. */
  static float number(DataType type, ByteBuffer data, int index) {
    return switch (type) {
      case FP16 -> Float.float16ToFloat(data.getShort(index * 2));
      case BF16 -> JsonNumbers.brainToFloat(data.getShort(index * 2));
      case FP32 -> data.getFloat(index * 4);
      case FP64 -> (float) data.getDouble(index * 8);
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, BYTES ->
          throw new IllegalArgumentException("no floating-point numbers: " + type);
    };
  }
}
