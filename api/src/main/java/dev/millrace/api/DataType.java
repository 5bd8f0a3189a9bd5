package dev.millrace.api;

import java.util.Locale;

/**
 * Element type of a tensor, with the names of the Open Inference Protocol.
 *
 * <p>Elements are stored little-endian and without padding. A {@link #BYTES} element is an unsigned
 * 32-bit length followed by that many bytes.
 */
public enum DataType {
  /** One byte, 0 or 1. */
  BOOL(1),
  UINT8(1),
  UINT16(2),
  UINT32(4),
  UINT64(8),
  INT8(1),
  INT16(2),
  INT32(4),
  INT64(8),
  /** IEEE 754 binary16. */
  FP16(2),
  /** The upper half of an FP32. */
  BF16(2),
  FP32(4),
  FP64(8),
  /** Strings or other byte sequences, each of its own length. */
  BYTES(0);

  private final int byteSize;

  DataType(int byteSize) {
    this.byteSize = byteSize;
  }

  /** Bytes of one element; 0 for {@link #BYTES}, whose elements differ in length. */
  public int byteSize() {
    return byteSize;
  }

  /** Whether every element has {@link #byteSize()} bytes. */
  public boolean isFixedSize() {
    return byteSize > 0;
  }

  /**
   * The type of that name, in upper or lower case.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is none
   */
  public static DataType of(String name) {
    // The exact names are what clients send: no garbage for them.
    for (DataType type : VALUES) {
      if (type.name().equals(name)) {
        return type;
      }
    }
    String upper = name.toUpperCase(Locale.ROOT);
    for (DataType type : VALUES) {
      if (type.name().equals(upper)) {
        return type;
      }
    }
    throw InferenceException.invalidArgument(
        "unknown datatype '%s', expected one of %s".formatted(name, java.util.List.of(VALUES)));
  }

  private static final DataType[] VALUES = values();
}
