package dev.millrace.server.v1;

import com.google.protobuf.ByteString;
import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tensorflow.TensorShapeProto;
import java.nio.ByteBuffer;

/** Reads TensorFlow's tensors. */
final class TensorProtoReader {
  /**
   * Most bytes of a tensor whose elements are not all in the message: a few bytes could ask for any
   * amount of memory.
   */
  private static final long MAX_FILLED = 64L << 20;

  private final String input;
  private final TensorProto proto;
  private final DataType type;
  private final Shape shape;
  private final long count;

  private TensorProtoReader(String input, TensorProto proto) {
    this.input = input;
    this.proto = proto;
    this.type = TensorFlowTypes.read(input, proto);
    this.shape = shape(input, proto.getTensorShape());
    this.count = shape.elementCount();
  }

  /**
   * A tensor with memory of its own, which the caller closes.
   *
   * @throws InferenceException INVALID_ARGUMENT if the message contradicts itself
   */
  static Tensor read(String input, TensorProto proto) {
    TensorProtoReader reader = new TensorProtoReader(input, proto);
    if (reader.type == DataType.BYTES) {
      return reader.texts();
    }
    return proto.getTensorContent().isEmpty() ? reader.values() : reader.content();
  }

  private static Shape shape(String input, TensorShapeProto proto) {
    int rank = Math.min(proto.getDimCount(), Shape.MAX_RANK + 1);
    long[] dims = new long[rank];
    for (int i = 0; i < rank; i++) {
      dims[i] = proto.getDim(i).getSize();
    }
    Shape shape = Shape.of(dims);
    if (proto.getUnknownRank() || !shape.isConcrete()) {
      throw InferenceException.invalidArgument(
          "the shape of input '%s' is not known: a tensor needs a size for each dimension"
              .formatted(input));
    }
    return shape;
  }

  private Tensor content() {
    ByteString content = proto.getTensorContent();
    long size = Tensor.byteSize(type, shape);
    if (content.size() != size) {
      throw InferenceException.invalidArgument(
          "tensor_content of input '%s' has %d bytes, but %s%s takes %d"
              .formatted(input, content.size(), TensorFlowTypes.name(type), shape, size));
    }
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      content.copyTo(buffer.view((int) size));
      return Tensor.wrap(type, shape, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  private void requireNoMore(int given) {
    if (given > count) {
      throw InferenceException.invalidArgument(
          "input '%s' has %d values, but its shape %s takes %d"
              .formatted(input, given, shape, count));
    }
  }

  private void requireFillable(long size) {
    if (size > MAX_FILLED) {
      throw InferenceException.invalidArgument(
          "input '%s' of shape %s has fewer values than elements, and is larger than the %d bytes up to which the last one is repeated"
              .formatted(input, shape, MAX_FILLED));
    }
  }

  private Tensor values() {
    int given = given();
    requireNoMore(given);
    long size = Tensor.byteSize(type, shape);
    if (given < count) {
      requireFillable(size);
    }
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer view = buffer.view((int) size);
      for (int i = 0; i < given; i++) {
        put(view, i);
      }
      fill(view, given * type.byteSize(), given == 0 ? 0 : type.byteSize());
      return Tensor.wrap(type, shape, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /** Repeats the {@code width} bytes before {@code start} to the end; zeros if there are none. */
  private static void fill(ByteBuffer view, int start, int width) {
    for (int at = start; at < view.limit(); at++) {
      view.put(at, width == 0 ? 0 : view.get(at - width));
    }
  }

  private int given() {
    return switch (type) {
      case BOOL -> proto.getBoolValCount();
      case UINT8, UINT16, INT8, INT16, INT32 -> proto.getIntValCount();
      case UINT32 -> proto.getUint32ValCount();
      case UINT64 -> proto.getUint64ValCount();
      case INT64 -> proto.getInt64ValCount();
      case FP16, BF16 -> proto.getHalfValCount();
      case FP32 -> proto.getFloatValCount();
      case FP64 -> proto.getDoubleValCount();
      case BYTES -> proto.getStringValCount();
    };
  }

  private void put(ByteBuffer view, int i) {
    switch (type) {
      case BOOL -> view.put(i, (byte) (proto.getBoolVal(i) ? 1 : 0));
      case INT8 -> view.put(i, (byte) integer(i, Byte.MIN_VALUE, Byte.MAX_VALUE));
      case UINT8 -> view.put(i, (byte) integer(i, 0, 0xFF));
      case INT16 -> view.putShort(i * 2, (short) integer(i, Short.MIN_VALUE, Short.MAX_VALUE));
      case UINT16 -> view.putShort(i * 2, (short) integer(i, 0, 0xFFFF));
      case INT32 -> view.putInt(i * 4, proto.getIntVal(i));
      case UINT32 -> view.putInt(i * 4, proto.getUint32Val(i));
      case INT64 -> view.putLong(i * 8, proto.getInt64Val(i));
      case UINT64 -> view.putLong(i * 8, proto.getUint64Val(i));
      case FP16, BF16 -> view.putShort(i * 2, (short) inRange(proto.getHalfVal(i), 0, 0xFFFF));
      case FP32 -> view.putFloat(i * 4, proto.getFloatVal(i));
      case FP64 -> view.putDouble(i * 8, proto.getDoubleVal(i));
      case BYTES -> throw new IllegalStateException("texts are no numbers");
    }
  }

  private int integer(int i, int min, int max) {
    return inRange(proto.getIntVal(i), min, max);
  }

  private int inRange(int value, int min, int max) {
    if (value < min || value > max) {
      throw InferenceException.invalidArgument(
          "value %d of input '%s' is out of the range of %s"
              .formatted(value, input, TensorFlowTypes.name(type)));
    }
    return value;
  }

  private Tensor texts() {
    if (!proto.getTensorContent().isEmpty()) {
      throw InferenceException.invalidArgument(
          "input '%s' is of strings, which go into string_val, not tensor_content"
              .formatted(input));
    }
    int given = proto.getStringValCount();
    requireNoMore(given);
    long size = 0;
    for (int i = 0; i < given; i++) {
      size += 4L + proto.getStringVal(i).size();
    }
    ByteString last = given == 0 ? ByteString.EMPTY : proto.getStringVal(given - 1);
    if (given < count) {
      long more = count - given;
      requireFillable(more > MAX_FILLED ? more : size + more * (4L + last.size()));
      size += more * (4L + last.size());
    }
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer view = buffer.view((int) size);
      for (int i = 0; i < count; i++) {
        ByteString text = i < given ? proto.getStringVal(i) : last;
        view.putInt(text.size());
        text.copyTo(view);
      }
      return Tensor.wrap(type, shape, view.flip(), buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }
}
