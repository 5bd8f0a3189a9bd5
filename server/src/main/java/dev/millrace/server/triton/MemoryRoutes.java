package dev.millrace.server.triton;

import dev.millrace.api.InferenceException;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonWriter;
import dev.millrace.server.memory.SharedMemory;
import dev.millrace.server.memory.SharedRegion;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The paths of Triton's extensions for shared memory, answered as {@link MemoryMessages} is. */
public final class MemoryRoutes implements Routes {
  private static final String SYSTEM = "/v2/systemsharedmemory";
  private static final String CUDA = "/v2/cudasharedmemory";
  private static final String REGION = "/region/{region}";

  private final SharedMemory memory;

  /** Routes to the regions of {@code memory}. */
  public MemoryRoutes(SharedMemory memory) {
    this.memory = memory;
  }

  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.GET, SYSTEM + "/status", exchange -> status(exchange, ""));
    router.add(
        HttpMethod.GET,
        SYSTEM + REGION + "/status",
        exchange -> status(exchange, exchange.variable("region")));
    router.add(HttpMethod.POST, SYSTEM + REGION + "/register", this::register);
    router.add(HttpMethod.POST, SYSTEM + REGION + "/unregister", this::unregister);
    router.add(HttpMethod.POST, SYSTEM + "/unregister", this::unregisterAll);

    router.add(HttpMethod.GET, CUDA + "/status", MemoryRoutes::nothing);
    router.add(
        HttpMethod.GET,
        CUDA + REGION + "/status",
        exchange -> {
          throw MemoryMessages.noCudaRegion(exchange.variable("region"));
        });
    router.add(
        HttpMethod.POST,
        CUDA + REGION + "/register",
        exchange -> {
          throw MemoryMessages.noCuda();
        });
    router.add(HttpMethod.POST, CUDA + REGION + "/unregister", exchange -> exchange.respond(200));
    router.add(HttpMethod.POST, CUDA + "/unregister", exchange -> exchange.respond(200));
  }

  private static void nothing(HttpExchange exchange) {
    ByteBuf body = exchange.newBody(16);
    JsonWriter.to(body).beginArray().endArray().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void status(HttpExchange exchange, String name) {
    ByteBuf body = exchange.newBody(256);
    try {
      JsonWriter json = JsonWriter.to(body).beginArray();
      for (SharedRegion region : memory.status(name)) {
        json.beginObject().name("name").string(region.name());
        json.name("key").string(region.key());
        json.name("offset").number(region.offset());
        json.name("byte_size").number(region.byteSize()).endObject();
      }
      json.endArray().finish();
    } catch (RuntimeException e) {
      body.release();
      throw e;
    }
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void register(HttpExchange exchange) {
    Map<String, @Nullable Object> body = JsonObjects.read(exchange.body());
    if (!(body.get("key") instanceof String key)) {
      throw InferenceException.invalidArgument(
          "Unable to parse 'key': the key of the memory object must be a string");
    }
    memory.register(
        new SharedRegion(
            exchange.variable("region"),
            key,
            body.get("offset") == null ? 0 : number(body, "offset"),
            number(body, "byte_size")));
    exchange.respond(200);
  }

  private static long number(Map<String, @Nullable Object> body, String member) {
    if (body.get(member) instanceof Long number && number >= 0) {
      return number;
    }
    throw InferenceException.invalidArgument(
        "Unable to parse '%s': it must be a whole number from 0 on".formatted(member));
  }

  private void unregister(HttpExchange exchange) {
    memory.unregister(exchange.variable("region"));
    exchange.respond(200);
  }

  private void unregisterAll(HttpExchange exchange) {
    memory.unregisterAll();
    exchange.respond(200);
  }
}
