package dev.millrace.backend.tensorflow;

import com.google.protobuf.ByteString;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.proto.TensorProto;

/** Reads the tensors that a SavedModel carries as {@code TensorProto} ({@code tensor.proto}). */
final class TensorProtos {
  private static final long MAX_BYTES = 1 << 30;

  private TensorProtos() {}

  /**
   * A copy, which the caller closes. If there are fewer values than elements, the last one stands
   * for the rest; if there are none, 0 does.
   *
   * @throws InferenceException FAILED_PRECONDITION if it is not a tensor that can be served
   */
  static Tensor tensor(TensorProto proto) {
    DataType type = TensorFlowTypes.dataType(proto.getDtypeValue());
    Shape shape = Endpoint.shape(proto.getTensorShape());
    if (type == null || !shape.isConcrete()) {
      throw failure("a tensor of %s%s has no values".formatted(proto.getDtype(), shape));
    }
    if (shape.elementCount() > MAX_BYTES / Math.max(4, type.byteSize())) {
      throw failure("a tensor of %s%s is too large".formatted(type, shape));
    }
    int count = (int) shape.elementCount();
    if (type == DataType.BYTES) {
      return Tensor.copyOf(shape, strings(proto, count));
    }
    if (!proto.getTensorContent().isEmpty()) {
      return Tensor.copyOf(type, shape, proto.getTensorContent().asReadOnlyByteBuffer());
    }
    ByteBuffer bytes = ByteBuffer.allocate(count * type.byteSize()).order(ByteOrder.LITTLE_ENDIAN);
    int values = valueCount(type, proto);
    for (int i = 0; i < count && values > 0; i++) {
      put(type, proto, Math.min(i, values - 1), bytes);
    }
    return Tensor.copyOf(type, shape, bytes.clear());
  }

  private static List<byte[]> strings(TensorProto proto, int count) {
    List<byte[]> elements = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      int values = proto.getStringValCount();
      ByteString value =
          values == 0 ? ByteString.EMPTY : proto.getStringVal(Math.min(i, values - 1));
      elements.add(value.toByteArray());
    }
    return elements;
  }

  private static int valueCount(DataType type, TensorProto proto) {
    return switch (type) {
      case FP32 -> proto.getFloatValCount();
      case FP64 -> proto.getDoubleValCount();
      case INT8, INT16, INT32, UINT8, UINT16 -> proto.getIntValCount();
      case INT64 -> proto.getInt64ValCount();
      case UINT32 -> proto.getUint32ValCount();
      case UINT64 -> proto.getUint64ValCount();
      case BOOL -> proto.getBoolValCount();
      case FP16, BF16 -> proto.getHalfValCount();
      case BYTES -> proto.getStringValCount();
    };
  }

  private static void put(DataType type, TensorProto proto, int i, ByteBuffer to) {
    switch (type) {
      case FP32 -> to.putFloat(proto.getFloatVal(i));
      case FP64 -> to.putDouble(proto.getDoubleVal(i));
      case INT8, UINT8 -> to.put((byte) proto.getIntVal(i));
      case INT16, UINT16 -> to.putShort((short) proto.getIntVal(i));
      case INT32 -> to.putInt(proto.getIntVal(i));
      case INT64 -> to.putLong(proto.getInt64Val(i));
      case UINT32 -> to.putInt(proto.getUint32Val(i));
      case UINT64 -> to.putLong(proto.getUint64Val(i));
      case BOOL -> to.put((byte) (proto.getBoolVal(i) ? 1 : 0));
      case FP16, BF16 -> to.putShort((short) proto.getHalfVal(i));
      case BYTES -> throw new IllegalArgumentException("strings have no fixed size");
    }
  }

  private static InferenceException failure(String message) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, message);
  }
}
