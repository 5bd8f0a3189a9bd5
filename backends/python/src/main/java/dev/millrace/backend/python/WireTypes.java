package dev.millrace.backend.python;

import dev.millrace.api.DataType;
import java.net.ProtocolException;

/** The numbers of datatypes in frames. */
final class WireTypes {
  private static final DataType[] BY_NUMBER = {
    DataType.BOOL,
    DataType.UINT8,
    DataType.UINT16,
    DataType.UINT32,
    DataType.UINT64,
    DataType.INT8,
    DataType.INT16,
    DataType.INT32,
    DataType.INT64,
    DataType.FP16,
    DataType.BF16,
    DataType.FP32,
    DataType.FP64,
    DataType.BYTES
  };

  private WireTypes() {}

  static int number(DataType type) {
    for (int i = 0; i < BY_NUMBER.length; i++) {
      if (BY_NUMBER[i] == type) {
        return i;
      }
    }
    throw new IllegalArgumentException("no number for " + type);
  }

  static DataType of(int number) throws ProtocolException {
    if (number < 0 || number >= BY_NUMBER.length) {
      throw new ProtocolException("a datatype of number " + number);
    }
    return BY_NUMBER[number];
  }
}
