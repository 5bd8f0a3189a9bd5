package dev.millrace.server.v1;

import com.google.protobuf.ByteString;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorSpec;
import dev.millrace.server.json.JsonNumbers;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Collects one feature of several examples: flat lists of one length. What the model declares gives
 * them their shape.
 */
final class FeatureCollector extends ElementCollector {
  /** Most bytes that a feature of the context may take once every example has it. */
  private static final long MAX_REPEATED = 64L << 20;

  /** Elements of each example. */
  private long width;

  /** Elements of the examples before the one under way. */
  private long before;

  FeatureCollector(TensorSpec spec, long sizeHint) {
    super(spec, sizeHint);
  }

  /** Adds the value of the next example: a value alone, or a list of such. */
  void add(JsonParser parser, JsonToken token) {
    beginExample();
    if (token != JsonToken.START_ARRAY) {
      addValue(parser, token);
    } else {
      for (JsonToken next = V1Json.next(parser);
          next != JsonToken.END_ARRAY;
          next = V1Json.next(parser)) {
        addValue(parser, next);
      }
    }
    endExample();
  }

  private void addValue(JsonParser parser, JsonToken token) {
    if (token == JsonToken.START_ARRAY || token == JsonToken.VALUE_NULL) {
      throw InferenceException.invalidArgument(
          "Feature: %s has element with unexpected JSON type: %s"
              .formatted(spec.name(), V1Errors.kind(token)));
    }
    addElement(parser, token);
  }

  /** The next example begins. */
  void beginExample() {
    before = count;
  }

  /** The elements since its beginning are those of one example. */
  void endExample() {
    long size = count - before;
    if (values == 0) {
      width = size;
    } else if (size != width) {
      throw InferenceException.invalidArgument(
          "Feature: %s has %d values in example %d, expected %d as in example 0"
              .formatted(spec.name(), size, values, width));
    }
    values++;
  }

  /**
   * Adds a text.
   *
   * @throws InferenceException INVALID_ARGUMENT if the model takes none
   */
  void addBytes(ByteString value) {
    if (!isTexts()) {
      throw wrongKind("bytes");
    }
    value.copyTo(elements.addBytes(value.size()));
    count++;
  }

  /**
   * Adds a number.
   *
   * @throws InferenceException INVALID_ARGUMENT if the model takes none such
   */
  void addFloat(float value) {
    switch (spec.dataType()) {
      case FP16 -> elements.addFixed().putShort(Float.floatToFloat16(value));
      case BF16 -> elements.addFixed().putShort(JsonNumbers.floatToBrain(value));
      case FP32 -> elements.addFixed().putFloat(value);
      case FP64 -> elements.addFixed().putDouble(value);
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, BYTES ->
          throw wrongKind("float");
    }
    count++;
  }

  /**
   * Adds a whole number.
   *
   * @throws InferenceException INVALID_ARGUMENT if the model takes none such
   */
  void addLong(long value) {
    switch (spec.dataType()) {
      case BOOL -> elements.addFixed().put((byte) inRange(value, 0, 1));
      case UINT8 -> elements.addFixed().put((byte) inRange(value, 0, 0xFF));
      case INT8 -> elements.addFixed().put((byte) inRange(value, Byte.MIN_VALUE, Byte.MAX_VALUE));
      case UINT16 -> elements.addFixed().putShort((short) inRange(value, 0, 0xFFFF));
      case INT16 ->
          elements.addFixed().putShort((short) inRange(value, Short.MIN_VALUE, Short.MAX_VALUE));
      case UINT32 -> elements.addFixed().putInt((int) inRange(value, 0, 0xFFFF_FFFFL));
      case INT32 ->
          elements.addFixed().putInt((int) inRange(value, Integer.MIN_VALUE, Integer.MAX_VALUE));
      case UINT64 -> elements.addFixed().putLong(inRange(value, 0, Long.MAX_VALUE));
      case INT64 -> elements.addFixed().putLong(value);
      case FP16 -> elements.addFixed().putShort(Float.floatToFloat16((float) value));
      case BF16 -> elements.addFixed().putShort(JsonNumbers.floatToBrain((float) value));
      case FP32 -> elements.addFixed().putFloat((float) value);
      case FP64 -> elements.addFixed().putDouble((double) value);
      case BYTES -> throw wrongKind("int64");
    }
    count++;
  }

  private long inRange(long value, long min, long max) {
    if (value < min || value > max) {
      throw InferenceException.invalidArgument(
          "Feature: %s has the value %d, which is out of the range of %s"
              .formatted(spec.name(), value, TensorFlowTypes.name(spec.dataType())));
    }
    return value;
  }

  private InferenceException wrongKind(String kind) {
    return InferenceException.invalidArgument(
        "Feature: %s (data type: %s) has values of type %s"
            .formatted(spec.name(), TensorFlowTypes.name(spec.dataType()), kind));
  }

  /** Makes the one example that is there {@code total} ones. */
  void repeat(long total) {
    int once = elements.size();
    if (once > 0 && total > MAX_REPEATED / once) {
      throw InferenceException.invalidArgument(
          "Feature: %s of the context is too large for %d examples: more than %d bytes"
              .formatted(spec.name(), total, MAX_REPEATED));
    }
    while (values * 2 <= total) {
      elements.repeat();
      values *= 2;
    }
    elements.repeat((int) ((total - values) * once));
    values = total;
  }

  /**
   * The examples as a tensor of the declared rank, which takes the memory over.
   *
   * @throws InferenceException INVALID_ARGUMENT if each example has too few or too many values
   */
  Tensor toTensor() {
    Shape declared = spec.shape();
    int rank = declared.rank();
    if (rank == 0) {
      throw InferenceException.invalidArgument(
          "input '%s' has no dimension for examples: it is a scalar".formatted(spec.name()));
    }
    long[] dims = new long[rank];
    dims[0] = values;
    long known = 1;
    int open = 0;
    for (int i = 1; i < rank; i++) {
      dims[i] = declared.dim(i);
      if (dims[i] == Shape.ANY) {
        dims[i] = 1;
        open = i;
      }
      known *= dims[i];
    }
    if (open > 0 && known > 0 && width % known == 0) {
      dims[open] = width / known;
      known = width;
    }
    if (known != width) {
      throw InferenceException.invalidArgument(
          "Feature: %s has %d values in an example, which do not make a row of %s"
              .formatted(spec.name(), width, declared));
    }
    return elements.toTensor(Shape.of(dims));
  }
}
