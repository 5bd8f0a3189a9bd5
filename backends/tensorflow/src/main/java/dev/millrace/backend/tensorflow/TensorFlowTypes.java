package dev.millrace.backend.tensorflow;

import dev.millrace.api.DataType;
import org.jspecify.annotations.Nullable;

/** The numbers of the enum {@code DataType} in {@code types.proto}, which TF_DataType shares. */
final class TensorFlowTypes {
  private TensorFlowTypes() {}

  /** The datatype of a number; null if there is none, as for complex and quantised numbers. */
  static @Nullable DataType dataType(int number) {
    return switch (number) {
      case 1 -> DataType.FP32;
      case 2 -> DataType.FP64;
      case 3 -> DataType.INT32;
      case 4 -> DataType.UINT8;
      case 5 -> DataType.INT16;
      case 6 -> DataType.INT8;
      case 7 -> DataType.BYTES;
      case 9 -> DataType.INT64;
      case 10 -> DataType.BOOL;
      case 14 -> DataType.BF16;
      case 17 -> DataType.UINT16;
      case 19 -> DataType.FP16;
      case 22 -> DataType.UINT32;
      case 23 -> DataType.UINT64;
      default -> null;
    };
  }

  /** The number of a datatype. */
  static int number(DataType type) {
    return switch (type) {
      case FP32 -> 1;
      case FP64 -> 2;
      case INT32 -> 3;
      case UINT8 -> 4;
      case INT16 -> 5;
      case INT8 -> 6;
      case BYTES -> 7;
      case INT64 -> 9;
      case BOOL -> 10;
      case BF16 -> 14;
      case UINT16 -> 17;
      case FP16 -> 19;
      case UINT32 -> 22;
      case UINT64 -> 23;
    };
  }
}
