package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.v2.RequestLimits;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Parts of the body of a request. */
final class V1Json {
  private V1Json() {}

  /** The next token; there has to be one. */
  static JsonToken next(JsonParser parser) {
    JsonToken token = parser.nextToken();
    if (token == null) {
      throw InferenceException.invalidArgument("JSON Parse error: Unexpected end of the document");
    }
    return token;
  }

  /** Moves to the start of the object that a body is. */
  static void begin(JsonParser parser) {
    JsonToken token = parser.nextToken();
    if (token == null) {
      throw InferenceException.invalidArgument("JSON Parse error: The document is empty");
    }
    if (token != JsonToken.START_OBJECT) {
      throw V1Errors.wrongValue(parser, token, "Is not object");
    }
  }

  /** The value of {@code signature_name}. */
  static String signatureName(JsonParser parser, JsonToken token) {
    if (token != JsonToken.VALUE_STRING) {
      throw V1Errors.wrongValue(
          parser, token, "not formatted correctly. 'signature_name' key must be a string value.");
    }
    return parser.getString();
  }

  /** The value of {@code parameters}: lists and objects in it become their texts. */
  static Parameters parameters(JsonParser parser, JsonToken token, JsonSource source) {
    if (token == JsonToken.VALUE_NULL) {
      return Parameters.empty();
    }
    if (token != JsonToken.START_OBJECT) {
      throw V1Errors.wrongValue(
          parser, token, "not formatted correctly. 'parameters' must be an object.");
    }
    Map<String, Object> values = new LinkedHashMap<>();
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = next(parser);
      switch (value) {
        case VALUE_NULL -> {}
        case START_ARRAY, START_OBJECT -> values.put(name, text(parser, source));
        default -> values.put(name, scalar(parser, value));
      }
      RequestLimits.checkCount("parameters", values.size());
    }
    return Parameters.copyOf(values);
  }

  /** A text, a truth value or a number. */
  static Object scalar(JsonParser parser, JsonToken value) {
    return switch (value) {
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      case VALUE_NUMBER_INT -> number(parser);
      default -> parser.getString();
    };
  }

  private static Object number(JsonParser parser) {
    return parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
        ? (Object) parser.getDoubleValue()
        : (Object) parser.getLongValue();
  }

  private static String text(JsonParser parser, JsonSource source) {
    long start = parser.currentTokenLocation().getByteOffset();
    ByteBuffer text = ByteBuffer.allocate(skip(parser, start, source));
    source.copy((int) start, text);
    return java.nio.charset.StandardCharsets.UTF_8.decode(text.flip()).toString();
  }

  /** Moves to the end of the value that starts at {@code start}; returns how long it is. */
  static int skip(JsonParser parser, long start, JsonSource source) {
    parser.finishToken();
    parser.skipChildren();
    long end = parser.currentLocation().getByteOffset();
    if (start < 0 || end < start || end > source.length()) { // as it is in text of another encoding
      throw InferenceException.invalidArgument("JSON Parse error: the document is not UTF-8");
    }
    return (int) (end - start);
  }
}
