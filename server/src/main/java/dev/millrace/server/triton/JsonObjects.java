package dev.millrace.server.triton;

import dev.millrace.api.InferenceException;
import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Reads the small bodies of requests that are about the server, not about tensors. */
final class JsonObjects {
  /** Most members that such a body may have. */
  private static final int MOST_MEMBERS = 1024;

  private JsonObjects() {}

  /**
   * The members of an object: texts, truth values, numbers (Long, Double), null, and lists and
   * objects of these. An empty body is an empty object.
   *
   * @throws InferenceException INVALID_ARGUMENT if the body is no JSON object
   */
  static Map<String, @Nullable Object> read(ByteBuf body) {
    if (!body.isReadable()) {
      return Map.of();
    }
    try (JsonParser parser = JsonSource.of(body, body.readableBytes()).parser()) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw malformed("expected an object");
      }
      Map<String, @Nullable Object> members = object(parser);
      if (parser.nextToken() != null) {
        throw malformed("there is more behind the object");
      }
      return members;
    } catch (JacksonException e) {
      throw malformed(JsonSource.problem(e));
    }
  }

  private static InferenceException malformed(String what) {
    return InferenceException.invalidArgument("failed to parse the request JSON buffer: " + what);
  }

  private static Map<String, @Nullable Object> object(JsonParser parser) {
    Map<String, @Nullable Object> members = new LinkedHashMap<>();
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      members.put(name, value(parser, parser.nextToken()));
      if (members.size() > MOST_MEMBERS) {
        throw InferenceException.invalidArgument(
            "more than %d members in an object".formatted(MOST_MEMBERS));
      }
    }
    if (parser.currentToken() != JsonToken.END_OBJECT) {
      throw malformed("the object does not end");
    }
    return members;
  }

  private static List<@Nullable Object> array(JsonParser parser) {
    List<@Nullable Object> elements = new ArrayList<>();
    for (JsonToken token = parser.nextToken();
        token != JsonToken.END_ARRAY;
        token = parser.nextToken()) {
      if (token == null) {
        throw malformed("the array does not end");
      }
      elements.add(value(parser, token));
    }
    return elements;
  }

  private static @Nullable Object value(JsonParser parser, @Nullable JsonToken token) {
    return switch (token) {
      case START_OBJECT -> object(parser);
      case START_ARRAY -> array(parser);
      case VALUE_STRING -> parser.getString();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_INT -> {
        try {
          yield parser.getLongValue();
        } catch (JacksonException e) {
          throw InferenceException.invalidArgument(
              "the number %s has more than 64 bits".formatted(shortened(parser.getString())));
        }
      }
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      case VALUE_NULL -> null;
      case null, default -> throw malformed("the document ends too early");
    };
  }

  private static String shortened(String text) {
    return text.length() > 40 ? text.substring(0, 40) + "…" : text;
  }
}
