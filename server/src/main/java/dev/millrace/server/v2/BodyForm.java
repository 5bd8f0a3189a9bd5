package dev.millrace.server.v2;

import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Tells requests of this protocol from others, where a path may be sent either. */
public final class BodyForm {
  private BodyForm() {}

  /**
   * Whether a body is a request of V2: its {@code inputs} is a list of objects, the first of which
   * has a {@code datatype}. Reads only as far as it has to; what is no JSON is no such request.
   */
  public static boolean isV2(ByteBuf body) {
    try (JsonParser parser = JsonSource.of(body, body.readableBytes()).parser()) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return false;
      }
      for (String name = parser.nextName(); name != null; name = parser.nextName()) {
        JsonToken value = parser.nextToken();
        if (name.equals("inputs")) {
          return value == JsonToken.START_ARRAY && isTensor(parser);
        }
        if (name.equals("instances")) {
          return false;
        }
        parser.skipChildren();
      }
      return false;
    } catch (JacksonException e) {
      return false;
    }
  }

  private static boolean isTensor(JsonParser parser) {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      return false;
    }
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      var _ = parser.nextToken();
      if (name.equals("datatype")) {
        return true;
      }
      parser.skipChildren();
    }
    return false;
  }
}
