package dev.millrace.server.v1;

import com.google.protobuf.ByteString;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tensorflow.TensorShapeProto;
import java.nio.ByteBuffer;

/**
 * Writes TensorFlow's tensors, with their elements in the fields for their types: there is client
 * code that reads nothing else.
 */
final class TensorProtoWriter {
  private TensorProtoWriter() {}

  /** The message, which does not need the tensor any more. */
  static TensorProto write(Tensor tensor) {
    TensorProto.Builder proto = TensorProto.newBuilder();
    proto.setDtype(TensorFlowTypes.write(tensor.dataType()));
    proto.setTensorShape(shape(tensor.shape()));
    ByteBuffer data = tensor.data();
    while (data.hasRemaining()) {
      switch (tensor.dataType()) {
        case BOOL -> proto.addBoolVal(data.get() != 0);
        case INT8 -> proto.addIntVal(data.get());
        case UINT8 -> proto.addIntVal(Byte.toUnsignedInt(data.get()));
        case INT16 -> proto.addIntVal(data.getShort());
        case UINT16 -> proto.addIntVal(Short.toUnsignedInt(data.getShort()));
        case INT32 -> proto.addIntVal(data.getInt());
        case UINT32 -> proto.addUint32Val(data.getInt());
        case INT64 -> proto.addInt64Val(data.getLong());
        case UINT64 -> proto.addUint64Val(data.getLong());
        case FP16, BF16 -> proto.addHalfVal(Short.toUnsignedInt(data.getShort()));
        case FP32 -> proto.addFloatVal(data.getFloat());
        case FP64 -> proto.addDoubleVal(data.getDouble());
        case BYTES -> proto.addStringVal(ByteString.copyFrom(data, data.getInt()));
      }
    }
    return proto.build();
  }

  /** The dimensions; {@link Shape#ANY} is -1 there too. */
  static TensorShapeProto shape(Shape shape) {
    if (!shape.hasRank()) {
      return TensorShapeProto.newBuilder().setUnknownRank(true).build();
    }
    TensorShapeProto.Builder proto = TensorShapeProto.newBuilder();
    for (int i = 0; i < shape.rank(); i++) {
      proto.addDim(TensorShapeProto.Dim.newBuilder().setSize(shape.dim(i)));
    }
    return proto.build();
  }
}
