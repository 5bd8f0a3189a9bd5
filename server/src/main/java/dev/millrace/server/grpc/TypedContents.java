package dev.millrace.server.grpc;

import com.google.protobuf.ByteString;
import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.server.v2.TensorBytes;
import java.nio.ByteBuffer;

/** Tensors whose elements are repeated fields of the message. */
final class TypedContents {
  private TypedContents() {}

  /**
   * A tensor of these elements; the caller closes it.
   *
   * @throws InferenceException INVALID_ARGUMENT if they are in the field of another datatype, are
   *     not as many as the shape takes, or are out of the datatype's range
   */
  static Tensor read(
      String model, String input, DataType type, Shape shape, InferTensorContents contents) {
    requireField(model, input, type, contents);
    int count = count(type, contents);
    long size;
    if (type == DataType.BYTES) {
      TensorBytes.checkElements(model, input, shape.elementCount(), count);
      size = bytesSize(contents);
    } else {
      size = (long) count * type.byteSize();
      TensorBytes.checkSize(model, input, Tensor.byteSize(type, shape), size);
    }
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer view = buffer.view((int) size);
      put(input, type, contents, count, view);
      return Tensor.wrap(type, shape, view.flip(), buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /** The datatype that names the field which elements of {@code type} are in. */
  private static DataType field(DataType type) {
    return switch (type) {
      case INT8, INT16, INT32 -> DataType.INT32;
      case UINT8, UINT16, UINT32 -> DataType.UINT32;
      case BOOL, INT64, UINT64, FP16, BF16, FP32, FP64, BYTES -> type;
    };
  }

  private static int count(DataType type, InferTensorContents contents) {
    return switch (type) {
      case BOOL -> contents.getBoolContentsCount();
      case INT8, INT16, INT32 -> contents.getIntContentsCount();
      case INT64 -> contents.getInt64ContentsCount();
      case UINT8, UINT16, UINT32 -> contents.getUintContentsCount();
      case UINT64 -> contents.getUint64ContentsCount();
      case FP32 -> contents.getFp32ContentsCount();
      case FP64 -> contents.getFp64ContentsCount();
      case BYTES -> contents.getBytesContentsCount();
      case FP16, BF16 -> 0;
    };
  }

  private static final DataType[] FIELDS = {
    DataType.BOOL,
    DataType.INT32,
    DataType.INT64,
    DataType.UINT32,
    DataType.UINT64,
    DataType.FP32,
    DataType.FP64,
    DataType.BYTES
  };

  private static void requireField(
      String model, String input, DataType type, InferTensorContents contents) {
    DataType expected = field(type);
    for (DataType field : FIELDS) {
      if (field != expected && count(field, contents) > 0) {
        throw InferenceException.invalidArgument(
            "unexpected explicit tensor data for input tensor '%s' for model '%s' of type '%s', expected datatype '%s'%s"
                .formatted(
                    input, model, field, type, hasField(type) ? "" : " in raw_input_contents"));
      }
    }
  }

  /** Whether elements of that type can be sent in a field. */
  static boolean hasField(DataType type) {
    return type != DataType.FP16 && type != DataType.BF16;
  }

  private static long bytesSize(InferTensorContents contents) {
    long size = 0;
    for (int i = 0; i < contents.getBytesContentsCount(); i++) {
      size += 4L + contents.getBytesContents(i).size();
    }
    return size;
  }

  private static void put(
      String input, DataType type, InferTensorContents contents, int count, ByteBuffer view) {
    for (int i = 0; i < count; i++) {
      switch (type) {
        case BOOL -> view.put((byte) (contents.getBoolContents(i) ? 1 : 0));
        case INT8 -> {
          int value = contents.getIntContents(i);
          requireRange(input, type, value, value == (byte) value);
          view.put((byte) value);
        }
        case INT16 -> {
          int value = contents.getIntContents(i);
          requireRange(input, type, value, value == (short) value);
          view.putShort((short) value);
        }
        case INT32 -> view.putInt(contents.getIntContents(i));
        case INT64 -> view.putLong(contents.getInt64Contents(i));
        case UINT8 -> {
          int value = contents.getUintContents(i);
          requireRange(input, type, value, value >>> 8 == 0);
          view.put((byte) value);
        }
        case UINT16 -> {
          int value = contents.getUintContents(i);
          requireRange(input, type, value, value >>> 16 == 0);
          view.putShort((short) value);
        }
        case UINT32 -> view.putInt(contents.getUintContents(i));
        case UINT64 -> view.putLong(contents.getUint64Contents(i));
        case FP32 -> view.putFloat(contents.getFp32Contents(i));
        case FP64 -> view.putDouble(contents.getFp64Contents(i));
        case BYTES -> {
          ByteString element = contents.getBytesContents(i);
          view.putInt(element.size());
          element.copyTo(view);
        }
        case FP16, BF16 -> throw new IllegalStateException(type + " has no field");
      }
    }
  }

  private static void requireRange(String input, DataType type, int value, boolean inRange) {
    if (!inRange) {
      throw InferenceException.invalidArgument(
          "value %s of input '%s' is out of the range of %s"
              .formatted(
                  field(type) == DataType.UINT32
                      ? Integer.toUnsignedString(value)
                      : Integer.toString(value),
                  input,
                  type));
    }
  }

  /** The elements of a tensor whose datatype {@linkplain #hasField has a field}. */
  static InferTensorContents write(Tensor tensor) {
    InferTensorContents.Builder contents = InferTensorContents.newBuilder();
    ByteBuffer data = tensor.data();
    while (data.hasRemaining()) {
      switch (tensor.dataType()) {
        case BOOL -> contents.addBoolContents(data.get() != 0);
        case INT8 -> contents.addIntContents(data.get());
        case INT16 -> contents.addIntContents(data.getShort());
        case INT32 -> contents.addIntContents(data.getInt());
        case INT64 -> contents.addInt64Contents(data.getLong());
        case UINT8 -> contents.addUintContents(Byte.toUnsignedInt(data.get()));
        case UINT16 -> contents.addUintContents(Short.toUnsignedInt(data.getShort()));
        case UINT32 -> contents.addUintContents(data.getInt());
        case UINT64 -> contents.addUint64Contents(data.getLong());
        case FP32 -> contents.addFp32Contents(data.getFloat());
        case FP64 -> contents.addFp64Contents(data.getDouble());
        case BYTES -> contents.addBytesContents(ByteString.copyFrom(data, data.getInt()));
        case FP16, BF16 -> throw new IllegalStateException(tensor + " has no field");
      }
    }
    return contents.build();
  }
}
