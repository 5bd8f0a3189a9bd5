package dev.millrace.server.triton;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The paths of Triton's extensions for the settings of the log and of tracing. */
public final class SettingsRoutes implements Routes {
  private static final String LOG = "/v2/logging";
  private static final String TRACE = "/v2/trace/setting";
  private static final String MODEL_TRACE = "/v2/models/{model}/trace/setting";

  private final ModelRegistry models;

  /** Routes of a server of these models. */
  public SettingsRoutes(ModelRegistry models) {
    this.models = models;
  }

  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.GET, LOG, SettingsRoutes::answerLog);
    router.add(HttpMethod.POST, LOG, SettingsRoutes::changeLog);
    router.add(HttpMethod.GET, TRACE, SettingsRoutes::answerTrace);
    router.add(HttpMethod.POST, TRACE, SettingsRoutes::changeTrace);
    router.add(HttpMethod.GET, MODEL_TRACE, this::answerModelTrace);
    router.add(HttpMethod.POST, MODEL_TRACE, this::changeModelTrace);
  }

  private static void changeLog(HttpExchange exchange) {
    Map<String, Object> changes = new LinkedHashMap<>();
    JsonObjects.read(exchange.body())
        .forEach((key, value) -> {
          if (value == null) {
            throw InferenceException.invalidArgument(
                "log setting '%s' must not be null".formatted(key));
          }
          changes.put(key, value);
        });
    LogSettings.change(changes);
    answerLog(exchange);
  }

  private static void answerLog(HttpExchange exchange) {
    ByteBuf body = exchange.newBody(256);
    JsonWriter json = JsonWriter.to(body).beginObject();
    LogSettings.current()
        .forEach((key, value) -> {
          json.name(key);
          switch (value) {
            case Boolean flag -> json.bool(flag);
            case Long number -> json.number(number);
            default -> json.string(value.toString());
          }
        });
    json.endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void answerModelTrace(HttpExchange exchange) {
    requireModel(exchange);
    answerTrace(exchange);
  }

  private void changeModelTrace(HttpExchange exchange) {
    requireModel(exchange);
    changeTrace(exchange);
  }

  private void requireModel(HttpExchange exchange) {
    var _ = models.isReady(ModelId.latest(exchange.variable("model")));
  }

  private static void changeTrace(HttpExchange exchange) {
    Map<String, List<String>> changes = new LinkedHashMap<>();
    JsonObjects.read(exchange.body()).forEach((key, value) -> changes.put(key, texts(key, value)));
    TraceSettings.change(changes);
    answerTrace(exchange);
  }

  private static List<String> texts(String key, @Nullable Object value) {
    return switch (value) {
      case null -> List.of();
      case String text -> List.of(text);
      case List<?> list when list.stream().allMatch(String.class::isInstance) ->
          list.stream().map(Object::toString).toList();
      default ->
          throw InferenceException.invalidArgument(
              "trace setting '%s' must be a string, a list of strings or null".formatted(key));
    };
  }

  private static void answerTrace(HttpExchange exchange) {
    ByteBuf body = exchange.newBody(256);
    JsonWriter json = JsonWriter.to(body).beginObject();
    TraceSettings.current()
        .forEach((key, values) -> {
          json.name(key);
          if (key.equals("trace_level")) {
            json.beginArray();
            values.forEach(json::string);
            json.endArray();
          } else {
            json.string(values.getFirst());
          }
        });
    json.endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }
}
