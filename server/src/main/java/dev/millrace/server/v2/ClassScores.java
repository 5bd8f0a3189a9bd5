package dev.millrace.server.v2;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.runtime.LabelFile;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Turns outputs that score classes into the classes with the best scores, as texts {@code
 * score:class} or {@code score:class:label}, best first: Triton's classification extension. Scores
 * are written as {@code printf} writes them with {@code %f}, or {@code %d} if they are whole
 * numbers.
 */
final class ClassScores {
  private ClassScores() {}

  /**
   * The response with some outputs turned into classes.
   *
   * @param response taken over, unless this throws
   * @param classes how many at most, by output
   * @param batched whether dimension 0 is the batch, each row with scores of its own
   * @param labels names of classes, by output
   * @throws InferenceException INVALID_ARGUMENT if an output holds no scores
   */
  static InferenceResponse of(
      InferenceResponse response,
      Map<String, Integer> classes,
      boolean batched,
      Map<String, LabelFile> labels) {
    TensorMap before = response.outputs();
    TensorMap.Builder after = TensorMap.builder();
    Tensor[] made = new Tensor[before.size()];
    try {
      for (int i = 0; i < made.length; i++) {
        Integer most = classes.get(before.name(i));
        if (most != null) {
          made[i] =
              classify(before.name(i), before.tensor(i), most, batched, labels.get(before.name(i)));
        }
      }
    } catch (RuntimeException e) {
      for (Tensor tensor : made) {
        if (tensor != null) {
          tensor.close();
        }
      }
      throw e;
    }
    for (int i = 0; i < made.length; i++) {
      after.put(before.name(i), made[i] == null ? before.tensor(i) : made[i]);
      if (made[i] != null) {
        before.tensor(i).close();
      }
    }
    return response.withOutputs(after.build());
  }

  private static Tensor classify(
      String output, Tensor scores, int most, boolean batched, @Nullable LabelFile labels) {
    requireScores(output, scores.dataType());
    Shape shape = scores.shape();
    int rows = batched && shape.rank() > 0 ? Math.toIntExact(shape.dim(0)) : 1;
    int size = rows == 0 ? 0 : Math.toIntExact(scores.elementCount() / rows);
    int count = Math.min(most, size);
    List<String> names = labels == null ? List.of() : labels.labels();
    String[] texts = new String[Math.multiplyExact(rows, count)];
    ByteBuffer data = scores.data();
    for (int row = 0; row < rows; row++) {
      int[] best = best(scores.dataType(), data, row * size, size, count);
      for (int i = 0; i < count; i++) {
        int index = best[i];
        String label = index < names.size() ? names.get(index) : "";
        texts[row * count + i] =
            text(scores.dataType(), data, row * size + index)
                + ":"
                + index
                + (label.isEmpty() ? "" : ":" + label);
      }
    }
    return Tensor.copyOf(batched ? Shape.of(rows, count) : Shape.of(count), texts);
  }

  private static void requireScores(String output, DataType type) {
    switch (type) {
      case BOOL, FP16, BF16, BYTES ->
          throw InferenceException.invalidArgument(
              "class result not available for output '%s' due to unsupported type '%s'"
                  .formatted(output, type));
      case UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64 -> {}
    }
  }

  /**
   * The indices of the largest scores, largest first, of equal ones the lower index first. Keeps
   * the best of those seen in a heap, the worst of them on top.
   */
  private static int[] best(DataType type, ByteBuffer data, int start, int size, int count) {
    int[] heap = new int[count];
    int length = 0;
    for (int index = 0; index < size && count > 0; index++) {
      if (length < count) {
        heap[length] = index;
        siftUp(type, data, start, heap, length++);
      } else if (isBetter(type, data, start, index, heap[0])) {
        heap[0] = index;
        siftDown(type, data, start, heap, length);
      }
    }
    int[] best = new int[count];
    while (length > 0) {
      best[length - 1] = heap[0];
      heap[0] = heap[--length];
      siftDown(type, data, start, heap, length);
    }
    return best;
  }

  private static void siftUp(DataType type, ByteBuffer data, int start, int[] heap, int from) {
    int at = from;
    while (at > 0) {
      int parent = (at - 1) / 2;
      if (!isBetter(type, data, start, heap[parent], heap[at])) {
        return;
      }
      swap(heap, parent, at);
      at = parent;
    }
  }

  private static void siftDown(DataType type, ByteBuffer data, int start, int[] heap, int length) {
    int at = 0;
    while (2 * at + 1 < length) {
      int child = 2 * at + 1;
      if (child + 1 < length && isBetter(type, data, start, heap[child], heap[child + 1])) {
        child++;
      }
      if (!isBetter(type, data, start, heap[at], heap[child])) {
        return;
      }
      swap(heap, at, child);
      at = child;
    }
  }

  private static void swap(int[] heap, int one, int other) {
    int kept = heap[one];
    heap[one] = heap[other];
    heap[other] = kept;
  }

  private static boolean isBetter(DataType type, ByteBuffer data, int start, int one, int other) {
    int order = compare(type, data, start + one, start + other);
    return order > 0 || (order == 0 && one < other);
  }

  /** By score; what is no number is the worst. */
  private static int compare(DataType type, ByteBuffer data, int one, int other) {
    return switch (type) {
      case UINT64 -> Long.compareUnsigned(data.getLong(one * 8), data.getLong(other * 8));
      case FP32, FP64 -> {
        double first = real(type, data, one);
        double second = real(type, data, other);
        yield Double.isNaN(first) || Double.isNaN(second)
            ? Boolean.compare(Double.isNaN(second), Double.isNaN(first))
            : Double.compare(first, second);
      }
      default -> Long.compare(whole(type, data, one), whole(type, data, other));
    };
  }

  private static double real(DataType type, ByteBuffer data, int index) {
    return type == DataType.FP32 ? data.getFloat(index * 4) : data.getDouble(index * 8);
  }

  private static long whole(DataType type, ByteBuffer data, int index) {
    return switch (type) {
      case UINT8 -> Byte.toUnsignedLong(data.get(index));
      case UINT16 -> Short.toUnsignedLong(data.getShort(index * 2));
      case UINT32 -> Integer.toUnsignedLong(data.getInt(index * 4));
      case INT8 -> data.get(index);
      case INT16 -> data.getShort(index * 2);
      case INT32 -> data.getInt(index * 4);
      case INT64, UINT64 -> data.getLong(index * 8);
      case BOOL, FP16, BF16, FP32, FP64, BYTES ->
          throw new IllegalArgumentException(type + " holds no whole numbers");
    };
  }

  private static String text(DataType type, ByteBuffer data, int index) {
    return switch (type) {
      case FP32, FP64 -> text(real(type, data, index));
      case UINT64 -> Long.toUnsignedString(whole(type, data, index));
      default -> Long.toString(whole(type, data, index));
    };
  }

  private static String text(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    return String.format(Locale.ROOT, "%.6f", value);
  }
}
