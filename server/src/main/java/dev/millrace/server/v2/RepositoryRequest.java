package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;
import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Body of a request to the model repository.
 *
 * @param ready whether only models that are ready are asked for
 * @param parameters text, flags and numbers by key
 */
record RepositoryRequest(boolean ready, Map<String, Object> parameters) {
  private static final RepositoryRequest EMPTY = new RepositoryRequest(false, Map.of());

  /** Reads a body; an empty one asks for nothing special. */
  static RepositoryRequest read(ByteBuf body) {
    if (!body.isReadable()) {
      return EMPTY;
    }
    try (JsonParser parser = JsonSource.of(body, body.readableBytes()).parser()) {
      return parse(parser);
    } catch (JacksonException e) {
      throw JsonValues.malformed(e);
    }
  }

  private static RepositoryRequest parse(JsonParser parser) {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw JsonValues.malformed("expected an object", 0);
    }
    boolean ready = false;
    Map<String, Object> parameters = new LinkedHashMap<>();
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = parser.nextToken();
      switch (name) {
        case "ready" -> ready = ready(value);
        case "parameters" -> {
          if (value != JsonToken.VALUE_NULL) {
            parseParameters(parser, value, parameters);
          }
        }
        default -> parser.skipChildren();
      }
    }
    return new RepositoryRequest(ready, parameters);
  }

  private static boolean ready(JsonToken value) {
    if (value != JsonToken.VALUE_TRUE && value != JsonToken.VALUE_FALSE) {
      throw InferenceException.invalidArgument("Invalid value for 'ready': expected a boolean");
    }
    return value == JsonToken.VALUE_TRUE;
  }

  private static void parseParameters(
      JsonParser parser, JsonToken value, Map<String, Object> parameters) {
    JsonValues.require(value == JsonToken.START_OBJECT, "parameters", "object");
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken token = parser.nextToken();
      switch (token) {
        case VALUE_STRING -> parameters.put(name, parser.getString());
        case VALUE_TRUE, VALUE_FALSE -> parameters.put(name, token == JsonToken.VALUE_TRUE);
        case VALUE_NUMBER_INT -> parameters.put(name, JsonValues.whole(parser, name, token));
        case VALUE_NUMBER_FLOAT -> parameters.put(name, parser.getDoubleValue());
        case VALUE_NULL -> {}
        default ->
            throw InferenceException.invalidArgument(
                "parameter '%s' must be a string, a boolean or a number".formatted(name));
      }
    }
  }
}
