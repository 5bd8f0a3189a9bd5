package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;

/**
 * Tensors as JSON. Numbers are those of their datatype; what JSON has no number for is a text,
 * {@code "NaN"} and {@code "Infinity"} among it; elements of BYTES are texts, or in Base64 if they
 * are no UTF-8.
 */
final class TensorJson {
  private TensorJson() {}

  /** Whether all elements are texts, if they are BYTES; of other datatypes they are. */
  static boolean isText(DataType dataType, ByteBuffer elements) {
    if (dataType != DataType.BYTES) {
      return true;
    }
    ByteBuffer data = elements.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    while (data.hasRemaining()) {
      if (!isText(element(data))) {
        return false;
      }
    }
    return true;
  }

  private static boolean isText(byte[] element) {
    if (new String(element, UTF_8).indexOf('\uFFFD') < 0) {
      return true;
    }
    try { // it may be there, or stand for what is none
      var _ = UTF_8.newDecoder().decode(ByteBuffer.wrap(element));
      return true;
    } catch (CharacterCodingException e) {
      return false;
    }
  }

  /** The next element of BYTES. */
  static byte[] element(ByteBuffer data) {
    byte[] element = new byte[data.getInt()];
    data.get(element);
    return element;
  }

  /** The elements, one after the other, until the data ends. */
  static void flat(JsonWriter json, DataType dataType, ByteBuffer data, boolean text) {
    while (data.hasRemaining()) {
      element(json, dataType, data, text);
    }
  }

  /**
   * The elements, nested as the dimensions from {@code axis} on say.
   *
   * @param data holds at least as many elements; those are consumed
   * @param text as {@link #isText} said of all of it
   */
  static void nested(
      JsonWriter json, DataType dataType, ByteBuffer data, Shape shape, int axis, boolean text) {
    if (axis == shape.rank()) {
      element(json, dataType, data, text);
      return;
    }
    json.beginArray();
    for (long i = 0; i < shape.dim(axis); i++) {
      nested(json, dataType, data, shape, axis + 1, text);
    }
    json.endArray();
  }

  private static void element(JsonWriter json, DataType dataType, ByteBuffer data, boolean text) {
    switch (dataType) {
      case BOOL -> json.bool(data.get() != 0);
      case UINT8 -> json.number(Byte.toUnsignedLong(data.get()));
      case INT8 -> json.number((long) data.get());
      case UINT16 -> json.number(Short.toUnsignedLong(data.getShort()));
      case INT16 -> json.number((long) data.getShort());
      case UINT32 -> json.number(Integer.toUnsignedLong(data.getInt()));
      case INT32 -> json.number((long) data.getInt());
      case UINT64 -> json.unsigned(data.getLong());
      case INT64 -> json.number(data.getLong());
      case FP16 -> json.number(Float.float16ToFloat(data.getShort()));
      case BF16 -> json.number(Float.intBitsToFloat(data.getShort() << 16));
      case FP32 -> json.number(data.getFloat());
      case FP64 -> json.number(data.getDouble());
      case BYTES -> {
        byte[] element = element(data);
        if (text) {
          json.string(new String(element, UTF_8));
        } else {
          json.base64(element);
        }
      }
    }
  }
}
