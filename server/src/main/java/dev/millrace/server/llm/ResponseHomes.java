package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.millrace.api.spi.Upstream;
import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Which upstream has which of the responses that {@code /v1/responses} made: engines keep them for
 * themselves. Those that were made or asked for last are known, as long as the server runs.
 * Thread-safe.
 */
final class ResponseHomes {
  private static final int MOST = 10_000;
  private static final ByteBuf DATA =
      Unpooled.unreleasableBuffer(Unpooled.copiedBuffer("data:", US_ASCII));

  /**
   * Where a response is.
   *
   * @param model whose it is
   * @param owner the client that had it made
   */
  record Home(String model, Upstream upstream, String owner) {}

  /** The one that was of use last is the last one. */
  private final Map<String, Home> homes = new LinkedHashMap<>(16, 0.75f, true);

  /** Where the response of that name is; null if nobody knows. */
  synchronized @Nullable Home find(String id) {
    return homes.get(id);
  }

  private synchronized void put(String id, Home home) {
    homes.put(id, home);
    if (homes.size() > MOST) {
      homes.remove(homes.keySet().iterator().next());
    }
  }

  /**
   * Sees where a response is by its beginning.
   *
   * @param start of the answer or of a stream of events; it stays the caller's
   * @return whether it says so
   */
  boolean learn(ByteBuf start, boolean isEvents, Home home) {
    String id = isEvents ? idInEvent(start) : id(start);
    if (id == null) {
      return false;
    }
    put(id, home);
    return true;
  }

  private static @Nullable String idInEvent(ByteBuf events) {
    ByteBuf all = events.slice();
    int found = ByteBufUtil.indexOf(DATA, all);
    return found < 0 ? null : id(all.skipBytes(found + DATA.readableBytes()));
  }

  /** The name of the response that a JSON object is or has, even if it is not complete. */
  private static @Nullable String id(ByteBuf json) {
    String id = null;
    try (JsonParser parser = JsonSource.of(json, json.readableBytes()).parser()) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return null;
      }
      while (id == null && parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = parser.currentName();
        JsonToken value = parser.nextToken();
        if (name.equals("id") && value == JsonToken.VALUE_STRING) {
          id = parser.getString();
        } else if (!(name.equals("response") && value == JsonToken.START_OBJECT)) {
          parser.skipChildren();
        } // else its members are next
      }
    } catch (JacksonException e) { // it ends here, or is something else
      return id;
    }
    return id;
  }
}
