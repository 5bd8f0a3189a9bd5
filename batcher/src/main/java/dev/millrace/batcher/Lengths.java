package dev.millrace.batcher;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Changes the length of one dimension of a tensor of fixed-size elements. Stateless. */
final class Lengths {
  private Lengths() {}

  /** A longer copy, filled up with a value. */
  static Tensor fill(Tensor tensor, int dimension, long length, double value) {
    return copy(tensor, dimension, length, bytes(tensor.dataType(), value));
  }

  /** A shorter copy, without the end. */
  static Tensor cut(Tensor tensor, int dimension, long length) {
    Shape shape = tensor.shape();
    if (shape.rank() <= dimension || shape.dim(dimension) < length) {
      throw new IllegalStateException(
          "an output of shape %s has no dimension %d to cut to %d"
              .formatted(shape, dimension, length));
    }
    return copy(tensor, dimension, length, new byte[1]);
  }

  private static Tensor copy(Tensor tensor, int dimension, long length, byte[] fillValue) {
    Shape shape = tensor.shape();
    long outer = 1;
    for (int d = 0; d < dimension; d++) {
      outer *= shape.dim(d);
    }
    long inner = tensor.dataType().byteSize();
    for (int d = dimension + 1; d < shape.rank(); d++) {
      inner *= shape.dim(d);
    }
    int from = Math.toIntExact(shape.dim(dimension) * inner);
    int to = Math.toIntExact(length * inner);
    int kept = Math.min(from, to);
    int size = Math.toIntExact(outer * to);
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer target = buffer.view(size);
      ByteBuffer source = tensor.data();
      for (int i = 0; i < outer; i++) {
        target.put(i * to, source, i * from, kept);
        for (int at = kept; at < to; at += fillValue.length) {
          target.put(i * to + at, fillValue);
        }
      }
      return Tensor.wrap(tensor.dataType(), shape.withDim(dimension, length), buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /** The value as an element of that type, little-endian. */
  static byte[] bytes(DataType dataType, double value) {
    ByteBuffer element = ByteBuffer.allocate(dataType.byteSize()).order(ByteOrder.LITTLE_ENDIAN);
    switch (dataType) {
      case BOOL -> element.put((byte) (value == 0 ? 0 : 1));
      case INT8, UINT8 -> element.put((byte) (long) value);
      case INT16, UINT16 -> element.putShort((short) (long) value);
      case INT32, UINT32 -> element.putInt((int) (long) value);
      case INT64, UINT64 -> element.putLong((long) value);
      case FP16 -> element.putShort(Float.floatToFloat16((float) value));
      case BF16 -> element.putShort((short) (Float.floatToRawIntBits((float) value) >>> 16));
      case FP32 -> element.putFloat((float) value);
      case FP64 -> element.putDouble(value);
      case BYTES -> throw new IllegalArgumentException("texts are not filled up");
    }
    return element.array();
  }
}
