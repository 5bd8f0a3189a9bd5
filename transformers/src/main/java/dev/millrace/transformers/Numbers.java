package dev.millrace.transformers;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;

/** Numeric tensors from and to arrays of one type. */
final class Numbers {
  private Numbers() {}

  /** Whether tensors of that type hold numbers or truth values. */
  static boolean isNumeric(DataType type) {
    return type != DataType.BYTES;
  }

  static boolean isWhole(DataType type) {
    return switch (type) {
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64 -> true;
      case FP16, BF16, FP32, FP64, BYTES -> false;
    };
  }

  /**
   * The values as floats; wide ones are rounded.
   *
   * @throws InferenceException INVALID_ARGUMENT for BYTES
   */
  static float[] toFloats(Tensor tensor) {
    if (tensor.dataType() == DataType.FP32) {
      return tensor.toFloats();
    }
    ByteBuffer data = tensor.data();
    float[] values = new float[Math.toIntExact(tensor.elementCount())];
    switch (tensor.dataType()) {
      case UINT8 -> {
        byte[] bytes = new byte[values.length];
        data.get(bytes);
        for (int i = 0; i < values.length; i++) {
          values[i] = bytes[i] & 0xff;
        }
      }
      case FP64 -> {
        double[] doubles = tensor.toDoubles();
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) doubles[i];
        }
      }
      default -> {
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) real(data, tensor.dataType(), i);
        }
      }
    }
    return values;
  }

  /** The values as whole numbers; fractions are cut off. */
  static long[] toLongs(Tensor tensor) {
    ByteBuffer data = tensor.data();
    long[] values = new long[Math.toIntExact(tensor.elementCount())];
    for (int i = 0; i < values.length; i++) {
      values[i] = whole(data, tensor.dataType(), i);
    }
    return values;
  }

  private static double real(ByteBuffer data, DataType type, int index) {
    return switch (type) {
      case FP16 -> Float.float16ToFloat(data.getShort(index * 2));
      case BF16 -> Float.intBitsToFloat(data.getShort(index * 2) << 16);
      case FP32 -> data.getFloat(index * 4);
      case FP64 -> data.getDouble(index * 8);
      case UINT64 -> {
        long value = data.getLong(index * 8);
        yield value >= 0 ? value : ((value >>> 1) | (value & 1)) * 2.0;
      }
      case BOOL, UINT8, UINT16, UINT32, INT8, INT16, INT32, INT64 -> whole(data, type, index);
      case BYTES -> throw notNumeric();
    };
  }

  private static long whole(ByteBuffer data, DataType type, int index) {
    return switch (type) {
      case BOOL, UINT8 -> data.get(index) & 0xff;
      case INT8 -> data.get(index);
      case UINT16 -> data.getShort(index * 2) & 0xffff;
      case INT16 -> data.getShort(index * 2);
      case UINT32 -> data.getInt(index * 4) & 0xffff_ffffL;
      case INT32 -> data.getInt(index * 4);
      case UINT64, INT64 -> data.getLong(index * 8);
      case FP16, BF16, FP32, FP64 -> (long) real(data, type, index);
      case BYTES -> throw notNumeric();
    };
  }

  private static InferenceException notNumeric() {
    return InferenceException.invalidArgument("expected numbers, got BYTES");
  }

  /**
   * The tensor's values as another numeric type: floating point rounds, whole numbers keep their
   * low bits, fractions are cut off, and truth is what is not 0.
   *
   * @return a new tensor, the caller's
   */
  static Tensor cast(Tensor tensor, DataType type) {
    ByteBuffer from = tensor.data();
    DataType source = tensor.dataType();
    int count = Math.toIntExact(tensor.elementCount());
    int size = Math.toIntExact(Tensor.byteSize(type, tensor.shape()));
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer to = buffer.view(size);
      for (int i = 0; i < count; i++) {
        if (isWhole(source) && isWhole(type)) {
          putWhole(to, type, i, whole(from, source, i));
        } else {
          putReal(to, type, i, real(from, source, i));
        }
      }
      return Tensor.wrap(type, tensor.shape(), buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /** A tensor of these values, the caller's. */
  static Tensor of(DataType type, Shape shape, long[] values) {
    int size = Math.toIntExact(Tensor.byteSize(type, shape));
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer to = buffer.view(size);
      if (type == DataType.INT64) {
        to.asLongBuffer().put(values);
      } else {
        for (int i = 0; i < values.length; i++) {
          putWhole(to, type, i, values[i]);
        }
      }
      return Tensor.wrap(type, shape, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /** A tensor of these values, the caller's. */
  static Tensor of(DataType type, Shape shape, float[] values) {
    Tensor floats = Tensor.copyOf(shape, values);
    if (type == DataType.FP32) {
      return floats;
    }
    try (floats) {
      return cast(floats, type);
    }
  }

  private static void putWhole(ByteBuffer data, DataType type, int index, long value) {
    switch (type) {
      case BOOL -> data.put(index, (byte) (value == 0 ? 0 : 1));
      case UINT8, INT8 -> data.put(index, (byte) value);
      case UINT16, INT16 -> data.putShort(index * 2, (short) value);
      case UINT32, INT32 -> data.putInt(index * 4, (int) value);
      case UINT64, INT64 -> data.putLong(index * 8, value);
      case FP16, BF16, FP32, FP64 -> putReal(data, type, index, (double) value);
      case BYTES -> throw notNumeric();
    }
  }

  private static void putReal(ByteBuffer data, DataType type, int index, double value) {
    switch (type) {
      case FP16 -> data.putShort(index * 2, Float.floatToFloat16((float) value));
      case BF16 -> data.putShort(index * 2, bfloat16((float) value));
      case FP32 -> data.putFloat(index * 4, (float) value);
      case FP64 -> data.putDouble(index * 8, value);
      case BOOL -> data.put(index, (byte) (value == 0 ? 0 : 1));
      case UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64 ->
          putWhole(data, type, index, (long) value);
      case BYTES -> throw notNumeric();
    }
  }

  /** Rounds to the nearest, ties to even; NaN stays one. */
  private static short bfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }
}
