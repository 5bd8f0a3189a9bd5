package dev.millrace.server.triton;

import com.google.protobuf.Message;
import dev.millrace.api.ModelId;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;

/** The paths of Triton's extensions for the configuration and the statistics of models. */
public final class TritonRoutes implements Routes {
  private static final String MODEL = "/v2/models/{model}";
  private static final String VERSION = MODEL + "/versions/{version}";

  private final ModelRegistry models;

  /** Routes about the models of {@code models}. */
  public TritonRoutes(ModelRegistry models) {
    this.models = models;
  }

  @Override
  public void addTo(Router router) {
    router.add(
        HttpMethod.GET, MODEL + "/config", exchange -> configuration(exchange, latest(exchange)));
    router.add(
        HttpMethod.GET, VERSION + "/config", exchange -> configuration(exchange, exact(exchange)));
    router.add(HttpMethod.GET, "/v2/models/stats", exchange -> statistics(exchange, "", ""));
    router.add(
        HttpMethod.GET,
        MODEL + "/stats",
        exchange -> statistics(exchange, exchange.variable("model"), ""));
    router.add(
        HttpMethod.GET,
        VERSION + "/stats",
        exchange -> statistics(exchange, exchange.variable("model"), exchange.variable("version")));
  }

  private static ModelId latest(HttpExchange exchange) {
    return ModelId.latest(exchange.variable("model"));
  }

  private static ModelId exact(HttpExchange exchange) {
    return new ModelId(exchange.variable("model"), exchange.variable("version"));
  }

  private void configuration(HttpExchange exchange, ModelId model) {
    answer(exchange, ConfigurationMessages.of(models.describe(model)));
  }

  private void statistics(HttpExchange exchange, String model, String version) {
    answer(exchange, StatisticsMessages.of(models, model, version));
  }

  private static void answer(HttpExchange exchange, Message message) {
    ByteBuf body = exchange.newBody(1024);
    JsonWriter json = JsonWriter.to(body);
    ProtoJson.write(json, message);
    json.finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }
}
