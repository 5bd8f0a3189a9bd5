package dev.millrace.server.v1;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.proto.tensorflow.TensorProto;
import java.util.Locale;

/** The names that TensorFlow has for datatypes. */
final class TensorFlowTypes {
  private TensorFlowTypes() {}

  /** The name in texts. */
  static String name(DataType type) {
    return switch (type) {
      case BOOL -> "bool";
      case UINT8 -> "uint8";
      case UINT16 -> "uint16";
      case UINT32 -> "uint32";
      case UINT64 -> "uint64";
      case INT8 -> "int8";
      case INT16 -> "int16";
      case INT32 -> "int32";
      case INT64 -> "int64";
      case FP16 -> "half";
      case BF16 -> "bfloat16";
      case FP32 -> "float";
      case FP64 -> "double";
      case BYTES -> "string";
    };
  }

  /** The name of the constant in the protocol. */
  static String constant(DataType type) {
    return "DT_" + name(type).toUpperCase(Locale.ROOT);
  }

  /** The protocol's constant. */
  static dev.millrace.proto.tensorflow.DataType write(DataType type) {
    return dev.millrace.proto.tensorflow.DataType.valueOf(constant(type));
  }

  /**
   * The datatype of a tensor.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is none that models here have
   */
  static DataType read(String input, TensorProto tensor) {
    return switch (tensor.getDtype()) {
      case DT_BOOL -> DataType.BOOL;
      case DT_UINT8 -> DataType.UINT8;
      case DT_UINT16 -> DataType.UINT16;
      case DT_UINT32 -> DataType.UINT32;
      case DT_UINT64 -> DataType.UINT64;
      case DT_INT8 -> DataType.INT8;
      case DT_INT16 -> DataType.INT16;
      case DT_INT32 -> DataType.INT32;
      case DT_INT64 -> DataType.INT64;
      case DT_HALF -> DataType.FP16;
      case DT_BFLOAT16 -> DataType.BF16;
      case DT_FLOAT -> DataType.FP32;
      case DT_DOUBLE -> DataType.FP64;
      case DT_STRING -> DataType.BYTES;
      case DT_INVALID,
          DT_COMPLEX64,
          DT_COMPLEX128,
          DT_QINT8,
          DT_QUINT8,
          DT_QINT16,
          DT_QUINT16,
          DT_QINT32,
          DT_RESOURCE,
          DT_VARIANT,
          UNRECOGNIZED ->
          throw InferenceException.invalidArgument(
              "input '%s' has the type %s, which no model here takes"
                  .formatted(
                      input,
                      tensor.getDtype() == dev.millrace.proto.tensorflow.DataType.UNRECOGNIZED
                          ? Integer.toString(tensor.getDtypeValue())
                          : tensor.getDtype()));
    };
  }
}
