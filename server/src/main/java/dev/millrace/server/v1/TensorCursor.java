package dev.millrace.server.v1;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.server.json.JsonNumbers;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.json.JsonWriter;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;

/** Writes an output as nested lists, part after part. */
final class TensorCursor {
  /** End of the names of outputs whose texts are bytes. */
  private static final String BYTES_SUFFIX = "_bytes";

  private final String name;
  private final Shape shape;
  private final DataType type;
  private final ByteBuffer data;
  private final boolean isBinary;

  /** Which byte the next element starts at. */
  private int at;

  TensorCursor(String name, Tensor tensor) {
    this.name = name;
    this.shape = tensor.shape();
    this.type = tensor.dataType();
    this.data = tensor.data();
    this.isBinary = type == DataType.BYTES && name.endsWith(BYTES_SUFFIX);
  }

  String name() {
    return name;
  }

  /** Whether there are no dimensions. */
  boolean isScalar() {
    return shape.rank() == 0;
  }

  /** Size of the first dimension. */
  long rows() {
    return shape.dim(0);
  }

  /** Writes the next part of those that dimension {@code level} and the ones after it span. */
  void write(JsonWriter json, int level) {
    int last = shape.rank() - 1;
    if (level > last) {
      elements(json, 1);
      return;
    }
    json.beginArray();
    if (level == last) {
      elements(json, shape.dim(level));
    } else {
      for (long i = 0; i < shape.dim(level); i++) {
        write(json, level + 1);
      }
    }
    json.endArray();
  }

  private void elements(JsonWriter json, long count) {
    if (type == DataType.BYTES) {
      for (long i = 0; i < count; i++) {
        text(json);
      }
    } else {
      int end = at + (int) count * type.byteSize();
      JsonNumbers.write(json, type, data, at, end);
      at = end;
    }
  }

  /** A text as it is, or in Base64 if it is to be, or is no UTF-8. */
  private void text(JsonWriter json) {
    int size = data.getInt(at);
    int start = at + 4;
    at = start + size;
    if (!isBinary && JsonWriter.isUtf8(data, start, size)) {
      var _ = json.utf8(data, start, size);
    } else {
      json.beginObject().name(ElementCollector.BASE64_KEY).base64(data, start, size).endObject();
    }
  }

  /**
   * Writes the next element, which is a JSON text, without quotes.
   *
   * @throws InferenceException INTERNAL if it is not JSON: that is the model's fault
   */
  void writeText(JsonWriter json) {
    int size = data.getInt(at);
    int start = at + 4;
    at = start + size;
    if (!JsonWriter.isUtf8(data, start, size)) {
      throw notJson(null);
    }
    requireJson(UTF_8.decode(data.slice(start, size)).toString());
    json.raw(data, start, size);
  }

  private void requireJson(String text) {
    try (JsonParser parser = JsonSource.of(text)) {
      if (parser.nextToken() == null) {
        throw notJson(null);
      }
      parser.skipChildren();
      parser.finishToken();
      if (parser.nextToken() != null) {
        throw notJson(null);
      }
    } catch (JacksonException e) {
      throw notJson(e);
    }
  }

  private InferenceException notJson(@Nullable Throwable cause) {
    return new InferenceException(
        ErrorCode.INTERNAL,
        "an element of output '%s' is not one JSON value".formatted(name),
        cause);
  }
}
