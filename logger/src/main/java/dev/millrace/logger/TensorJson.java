package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.util.Base64;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Tensors as JSON. Numbers are those of their datatype; what JSON has no number for is a text,
 * {@code "NaN"} and {@code "Infinity"} among it; elements of BYTES are texts, or in Base64 if they
 * are no UTF-8.
 */
final class TensorJson {
  private static final JsonFactory JSON = new JsonFactory();

  private TensorJson() {}

  /** What {@code content} writes, in UTF-8. */
  static byte[] bytes(Consumer<JsonGenerator> content) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
    try (JsonGenerator json = JSON.createGenerator(ObjectWriteContext.empty(), bytes)) {
      content.accept(json);
    }
    return bytes.toByteArray();
  }

  /** Whether all elements of BYTES are UTF-8. */
  static boolean isText(ByteBuffer elements) {
    ByteBuffer data = elements.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    while (data.hasRemaining()) {
      if (text(data) == null) {
        return false;
      }
    }
    return true;
  }

  /** The next element of BYTES, as text; null if it is none. */
  private static @Nullable String text(ByteBuffer data) {
    int length = data.getInt();
    ByteBuffer element = data.slice(data.position(), length);
    data.position(data.position() + length);
    try {
      return UTF_8.newDecoder().decode(element).toString();
    } catch (CharacterCodingException e) {
      return null;
    }
  }

  /** The elements, one after the other, until the data ends. */
  static void flat(JsonGenerator json, DataType dataType, ByteBuffer data) {
    boolean text = dataType != DataType.BYTES || isText(data);
    while (data.hasRemaining()) {
      element(json, dataType, data, text);
    }
  }

  /**
   * The elements, nested as the dimensions from {@code axis} on say.
   *
   * @param data holds at least as many elements; those are consumed
   */
  static void nested(
      JsonGenerator json, DataType dataType, ByteBuffer data, Shape shape, int axis, boolean text) {
    if (axis == shape.rank()) {
      element(json, dataType, data, text);
      return;
    }
    json.writeStartArray();
    for (long i = 0; i < shape.dim(axis); i++) {
      nested(json, dataType, data, shape, axis + 1, text);
    }
    json.writeEndArray();
  }

  private static void element(
      JsonGenerator json, DataType dataType, ByteBuffer data, boolean text) {
    switch (dataType) {
      case BOOL -> json.writeBoolean(data.get() != 0);
      case UINT8 -> json.writeNumber(Byte.toUnsignedInt(data.get()));
      case INT8 -> json.writeNumber((int) data.get());
      case UINT16 -> json.writeNumber(Short.toUnsignedInt(data.getShort()));
      case INT16 -> json.writeNumber((int) data.getShort());
      case UINT32 -> json.writeNumber(Integer.toUnsignedLong(data.getInt()));
      case INT32 -> json.writeNumber(data.getInt());
      case UINT64 -> unsigned(json, data.getLong());
      case INT64 -> json.writeNumber(data.getLong());
      case FP16 -> json.writeNumber(Float.float16ToFloat(data.getShort()));
      case BF16 -> json.writeNumber(Float.intBitsToFloat(data.getShort() << 16));
      case FP32 -> json.writeNumber(data.getFloat());
      case FP64 -> json.writeNumber(data.getDouble());
      case BYTES -> bytes(json, data, text);
    }
  }

  private static void unsigned(JsonGenerator json, long value) {
    if (value >= 0) {
      json.writeNumber(value);
    } else {
      json.writeNumber(new BigInteger(Long.toUnsignedString(value)));
    }
  }

  private static void bytes(JsonGenerator json, ByteBuffer data, boolean text) {
    if (text) {
      String value = text(data);
      json.writeString(value == null ? "" : value);
    } else {
      byte[] element = new byte[data.getInt()];
      data.get(element);
      json.writeString(Base64.getEncoder().encodeToString(element));
    }
  }
}
