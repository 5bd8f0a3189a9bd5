package dev.millrace.server.json;

import dev.millrace.api.DataType;
import dev.millrace.api.Tensor;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Elements of fixed-size datatypes as JSON: truth values, whole numbers and numbers. They go from
 * the text into the tensor's memory and back without an object in between.
 */
public final class JsonNumbers {
  private JsonNumbers() {}

  /**
   * Puts the value at which the parser is into {@code values}.
   *
   * @param type of fixed size
   * @param values little-endian
   * @param at which byte it starts at
   * @return whether it was put there
   */
  public static Fit put(
      JsonParser parser, JsonToken token, DataType type, ByteBuffer values, int at) {
    return switch (type) {
      case BOOL -> bool(token, values, at);
      case INT8 -> integer(parser, token, Byte.MIN_VALUE, Byte.MAX_VALUE, 1, values, at);
      case UINT8 -> integer(parser, token, 0, 0xFF, 1, values, at);
      case INT16 -> integer(parser, token, Short.MIN_VALUE, Short.MAX_VALUE, 2, values, at);
      case UINT16 -> integer(parser, token, 0, 0xFFFF, 2, values, at);
      case INT32 -> integer(parser, token, Integer.MIN_VALUE, Integer.MAX_VALUE, 4, values, at);
      case UINT32 -> integer(parser, token, 0, 0xFFFF_FFFFL, 4, values, at);
      case INT64 -> integer(parser, token, Long.MIN_VALUE, Long.MAX_VALUE, 8, values, at);
      case UINT64 -> unsigned(parser, token, values, at);
      case FP16 -> half(parser, token, values, at);
      case BF16 -> brain(parser, token, values, at);
      case FP32 -> single(parser, token, values, at);
      case FP64 -> decimal(parser, token, values, at);
      case BYTES -> throw new IllegalArgumentException("not of fixed size: " + type);
    };
  }

  private static Fit bool(JsonToken token, ByteBuffer values, int at) {
    if (token != JsonToken.VALUE_TRUE && token != JsonToken.VALUE_FALSE) {
      return Fit.WRONG_TYPE;
    }
    values.put(at, (byte) (token == JsonToken.VALUE_TRUE ? 1 : 0));
    return Fit.FITS;
  }

  private static Fit integer(
      JsonParser parser, JsonToken token, long min, long max, int size, ByteBuffer values, int at) {
    if (token != JsonToken.VALUE_NUMBER_INT) {
      return Fit.WRONG_TYPE;
    }
    if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
      return Fit.OUT_OF_RANGE;
    }
    long value = parser.getLongValue();
    if (value < min || value > max) {
      return Fit.OUT_OF_RANGE;
    }
    switch (size) {
      case 1 -> values.put(at, (byte) value);
      case 2 -> values.putShort(at, (short) value);
      case 4 -> values.putInt(at, (int) value);
      default -> values.putLong(at, value);
    }
    return Fit.FITS;
  }

  private static Fit unsigned(JsonParser parser, JsonToken token, ByteBuffer values, int at) {
    if (token != JsonToken.VALUE_NUMBER_INT) {
      return Fit.WRONG_TYPE;
    }
    long value;
    if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
      BigInteger big = parser.getBigIntegerValue();
      if (big.signum() < 0 || big.bitLength() > 64) {
        return Fit.OUT_OF_RANGE;
      }
      value = big.longValue();
    } else {
      value = parser.getLongValue();
      if (value < 0) {
        return Fit.OUT_OF_RANGE;
      }
    }
    values.putLong(at, value);
    return Fit.FITS;
  }

  private static boolean isNumber(JsonToken token) {
    return token == JsonToken.VALUE_NUMBER_FLOAT || token == JsonToken.VALUE_NUMBER_INT;
  }

  private static Fit half(JsonParser parser, JsonToken token, ByteBuffer values, int at) {
    if (!isNumber(token)) {
      return Fit.WRONG_TYPE;
    }
    short value = Float.floatToFloat16(parser.getFloatValue());
    if (Float.isInfinite(Float.float16ToFloat(value)) && !parser.isNaN()) {
      return Fit.OUT_OF_RANGE;
    }
    values.putShort(at, value);
    return Fit.FITS;
  }

  private static Fit brain(JsonParser parser, JsonToken token, ByteBuffer values, int at) {
    if (!isNumber(token)) {
      return Fit.WRONG_TYPE;
    }
    short value = floatToBrain(parser.getFloatValue());
    if (Float.isInfinite(brainToFloat(value)) && !parser.isNaN()) {
      return Fit.OUT_OF_RANGE;
    }
    values.putShort(at, value);
    return Fit.FITS;
  }

  private static Fit single(JsonParser parser, JsonToken token, ByteBuffer values, int at) {
    if (!isNumber(token)) {
      return Fit.WRONG_TYPE;
    }
    float value = parser.getFloatValue();
    if (Float.isInfinite(value) && !parser.isNaN()) {
      return Fit.OUT_OF_RANGE;
    }
    values.putFloat(at, value);
    return Fit.FITS;
  }

  private static Fit decimal(JsonParser parser, JsonToken token, ByteBuffer values, int at) {
    if (!isNumber(token)) {
      return Fit.WRONG_TYPE;
    }
    double value = parser.getDoubleValue();
    if (Double.isInfinite(value) && !parser.isNaN()) {
      return Fit.OUT_OF_RANGE;
    }
    values.putDouble(at, value);
    return Fit.FITS;
  }

  /** The nearest BF16, the even one of two that are equally near. */
  public static short floatToBrain(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }

  /** The value of a BF16, which every FP32 holds. */
  public static float brainToFloat(short value) {
    return Float.intBitsToFloat(value << 16);
  }

  /**
   * Writes elements as values of an array.
   *
   * @param type of fixed size
   * @param data little-endian
   * @param start which byte the first starts at
   * @param end which byte the last ends before
   */
  public static void write(JsonWriter json, DataType type, ByteBuffer data, int start, int end) {
    switch (type) {
      case BOOL -> {
        for (int i = start; i < end; i++) {
          json.bool(data.get(i) != 0);
        }
      }
      case INT8 -> {
        for (int i = start; i < end; i++) {
          json.number(data.get(i));
        }
      }
      case UINT8 -> {
        for (int i = start; i < end; i++) {
          json.number(Byte.toUnsignedInt(data.get(i)));
        }
      }
      case INT16 -> {
        for (int i = start; i < end; i += 2) {
          json.number(data.getShort(i));
        }
      }
      case UINT16 -> {
        for (int i = start; i < end; i += 2) {
          json.number(Short.toUnsignedInt(data.getShort(i)));
        }
      }
      case INT32 -> {
        for (int i = start; i < end; i += 4) {
          json.number(data.getInt(i));
        }
      }
      case UINT32 -> {
        for (int i = start; i < end; i += 4) {
          json.number(Integer.toUnsignedLong(data.getInt(i)));
        }
      }
      case INT64 -> {
        for (int i = start; i < end; i += 8) {
          json.number(data.getLong(i));
        }
      }
      case UINT64 -> {
        for (int i = start; i < end; i += 8) {
          json.unsigned(data.getLong(i));
        }
      }
      case FP16 -> {
        for (int i = start; i < end; i += 2) {
          json.number(Float.float16ToFloat(data.getShort(i)));
        }
      }
      case BF16 -> {
        for (int i = start; i < end; i += 2) {
          json.number(brainToFloat(data.getShort(i)));
        }
      }
      case FP32 -> {
        for (int i = start; i < end; i += 4) {
          json.number(data.getFloat(i));
        }
      }
      case FP64 -> {
        for (int i = start; i < end; i += 8) {
          json.number(data.getDouble(i));
        }
      }
      case BYTES -> throw new IllegalArgumentException("not of fixed size: " + type);
    }
  }

  /** About how many bytes of JSON the elements of a tensor take. */
  public static long estimate(Tensor tensor) {
    int perElement =
        switch (tensor.dataType()) {
          case BOOL -> 6;
          case INT8, UINT8 -> 4;
          case INT16, UINT16 -> 6;
          case INT32, UINT32 -> 8;
          case INT64, UINT64, FP16, BF16 -> 10;
          case FP32 -> 14;
          case FP64 -> 20;
          case BYTES -> 0;
        };
    return perElement == 0 ? tensor.byteSize() : perElement * tensor.elementCount();
  }
}
