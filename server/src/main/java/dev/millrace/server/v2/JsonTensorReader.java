package dev.millrace.server.v2;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.server.json.ElementBuffer;
import dev.millrace.server.json.JsonNumbers;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads the member {@code data} of an input into a tensor. The array may be flat or nested in any
 * way: only the number of elements counts.
 */
final class JsonTensorReader {
  private final JsonParser parser;
  private final String input;
  private final DataType dataType;
  private final Shape shape;
  private final long count;

  /** Number of elements seen. */
  private long index;

  /** Number of arrays that are open. */
  private int depth = 1;

  private JsonTensorReader(JsonParser parser, String input, DataType dataType, Shape shape) {
    this.parser = parser;
    this.input = input;
    this.dataType = dataType;
    this.shape = shape;
    this.count = shape.elementCount();
  }

  /**
   * Reads a tensor, which the caller closes.
   *
   * @param parser at the array's start; afterwards at its end
   * @param available bytes of JSON that are left, at most: a shape that cannot be in there is
   *     refused before it takes memory
   */
  static Tensor read(
      JsonParser parser, String input, DataType dataType, Shape shape, long available) {
    JsonTensorReader reader = new JsonTensorReader(parser, input, dataType, shape);
    if (dataType == DataType.FP16 || dataType == DataType.BF16) {
      throw InferenceException.invalidArgument(
          "receiving %s data via JSON is not supported. Please use the binary data format for input '%s'"
              .formatted(dataType, input));
    }
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw reader.wrongType("array");
    }
    if (reader.count > available) {
      throw reader.tooFew();
    }
    return dataType == DataType.BYTES ? reader.readTexts() : reader.readNumbers();
  }

  private Tensor readNumbers() {
    PooledBuffer buffer = BufferPool.shared().take(Tensor.byteSize(dataType, shape));
    try {
      ByteBuffer values = buffer.view((int) Tensor.byteSize(dataType, shape));
      for (JsonToken token = nextElement(); token != null; token = nextElement()) {
        put(values, token);
      }
      return Tensor.wrap(dataType, shape, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  private Tensor readTexts() {
    ElementBuffer texts = new ElementBuffer(DataType.BYTES, count * 20);
    try {
      for (JsonToken token = nextElement(); token != null; token = nextElement()) {
        if (token != JsonToken.VALUE_STRING) {
          throw wrongType("string");
        }
        boolean paired =
            texts.addText(
                parser.getStringCharacters(), parser.getStringOffset(), parser.getStringLength());
        if (!paired) {
          throw bad("a string holds half of a surrogate pair");
        }
      }
      return texts.toTensor(shape);
    } catch (RuntimeException e) {
      texts.close();
      throw e;
    }
  }

  /** Moves to the next element; null at the end, with all of them there. */
  private @Nullable JsonToken nextElement() {
    while (true) {
      JsonToken token = parser.nextToken();
      if (token == JsonToken.END_ARRAY) {
        if (--depth == 0) {
          if (index < count) {
            throw tooFew();
          }
          return null;
        }
      } else if (token == JsonToken.START_ARRAY) {
        depth++;
      } else if (token == null) {
        throw JsonValues.malformed("the array does not end", -1);
      } else if (index == count) {
        throw InferenceException.invalidArgument(
            "Unable to parse 'data': Shape does not match true shape of 'data' field (input '%s': expected %d elements, got more)"
                .formatted(input, count));
      } else {
        index++;
        return token;
      }
    }
  }

  private InferenceException tooFew() {
    return InferenceException.invalidArgument(
        "Failed to parse 'data' field: shape does not match true shape (input '%s': expected %d elements, got %s)"
            .formatted(input, count, index == 0 ? "fewer" : index));
  }

  private void put(ByteBuffer values, JsonToken token) {
    int at = (int) (index - 1) * dataType.byteSize();
    if (token == JsonToken.VALUE_NULL && isNullable()) {
      putNaN(values, at);
      return;
    }
    switch (JsonNumbers.put(parser, token, dataType, values, at)) {
      case FITS -> {}
      case WRONG_TYPE -> throw wrongType(expected());
      case OUT_OF_RANGE -> throw outOfRange();
    }
  }

  /** Whether null stands for NaN. */
  private boolean isNullable() {
    return dataType == DataType.FP32 || dataType == DataType.FP64;
  }

  private void putNaN(ByteBuffer values, int at) {
    if (dataType == DataType.FP32) {
      values.putFloat(at, Float.NaN);
    } else {
      values.putDouble(at, Double.NaN);
    }
  }

  private String expected() {
    return switch (dataType) {
      case BOOL -> "boolean";
      case UINT8, UINT16, UINT32, UINT64 -> "unsigned-integer";
      case INT8, INT16, INT32, INT64 -> "signed-integer";
      case FP16, BF16, FP32, FP64 -> "number";
      case BYTES -> "string";
    };
  }

  private InferenceException wrongType(String expected) {
    return bad("attempt to access JSON non-%s as %s".formatted(expected, expected));
  }

  private InferenceException outOfRange() {
    String text = parser.getString();
    String shown = text.length() > 40 ? text.substring(0, 40) + "…" : text;
    return bad("value %s is out of range for %s".formatted(shown, dataType));
  }

  private InferenceException bad(String what) {
    String where = index == 0 ? "" : ", element %d".formatted(index - 1);
    return InferenceException.invalidArgument(
        "Unable to parse 'data': %s (input '%s'%s)".formatted(what, input, where));
  }
}
