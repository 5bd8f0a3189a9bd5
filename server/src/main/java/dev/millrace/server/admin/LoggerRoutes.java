package dev.millrace.server.admin;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.runtime.ModelServer;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Shows how the inferences of a model are logged, and changes it until the process ends: a PUT has
 * a JSON object with some of the keys of the model's {@code logger} section. Keys are written with
 * dashes; {@code docs/logging.md} explains them.
 */
public final class LoggerRoutes implements Routes {
  private static final String PATH = "/admin/models/{model}/logger";

  private final ModelServer server;

  /** Routes to the loggers of {@code server}. */
  public LoggerRoutes(ModelServer server) {
    this.server = server;
  }

  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.GET, PATH, this::show);
    router.add(HttpMethod.PUT, PATH, this::change);
  }

  private InferenceLogger logger(String model) {
    server.models().statuses(model); // refuses a model that is not known
    List<InferenceLogger> loggers = server.loggers();
    if (loggers.isEmpty()) {
      throw InferenceException.notFound("this server has no inference log");
    }
    return loggers.getFirst();
  }

  private void show(HttpExchange exchange) {
    String model = exchange.variable("model");
    respond(exchange, model, logger(model));
  }

  private void change(HttpExchange exchange) {
    String model = exchange.variable("model");
    InferenceLogger logger = logger(model);
    Settings changes = Settings.of("request", read(exchange.body()));
    // It may wait for Kafka to say whether a topic is there.
    exchange.onWorker(
        () -> {
          logger.change(model, changes);
          respond(exchange, model, logger);
        },
        () -> {});
  }

  private static Map<String, Object> read(ByteBuf body) {
    Map<String, Object> values = new LinkedHashMap<>();
    try (JsonParser parser = JsonSource.of(body, body.readableBytes()).parser()) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw InferenceException.invalidArgument("expected a JSON object with settings");
      }
      for (String name = parser.nextName(); name != null; name = parser.nextName()) {
        JsonToken token = parser.nextToken();
        switch (token) {
          case VALUE_STRING, VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT, VALUE_TRUE, VALUE_FALSE ->
              values.put(name.replace('_', '-'), parser.getString());
          default ->
              throw InferenceException.invalidArgument(
                  "'%s' must be a string, a boolean or a number".formatted(name));
        }
      }
    } catch (JacksonException e) {
      throw InferenceException.invalidArgument("not JSON: " + JsonSource.problem(e));
    }
    return values;
  }

  private static void respond(HttpExchange exchange, String model, InferenceLogger logger) {
    ByteBuf body = exchange.newBody(512);
    JsonWriter json = JsonWriter.to(body).beginObject();
    json.name("model").string(model);
    logger
        .settings(model)
        .forEach((key, value) -> {
          json.name(key);
          switch (value) {
            case Boolean flag -> json.bool(flag);
            case Long number -> json.number(number);
            case Double number -> json.number(number);
            default -> json.string(value.toString());
          }
        });
    json.endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }
}
