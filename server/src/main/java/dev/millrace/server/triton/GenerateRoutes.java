package dev.millrace.server.triton;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelServer;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.RequestHeaders;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.v2.BodyForm;
import dev.millrace.server.v2.V2Routes;
import io.netty.handler.codec.http.HttpMethod;

/**
 * The paths of Triton's generate extension. MLServer has {@code generate} too, for requests in the
 * form of {@code infer}; those are answered as there.
 */
public final class GenerateRoutes implements Routes {
  private static final String MODEL = "/v2/models/{model}";
  private static final String VERSION = MODEL + "/versions/{version}";

  private final ModelServer server;
  private final V2Routes v2;

  /**
   * Routes to the models of {@code server}.
   *
   * @param v2 answers requests in V2's own form
   */
  public GenerateRoutes(ModelServer server, V2Routes v2) {
    this.server = server;
    this.v2 = v2;
  }

  @Override
  public void addTo(Router router) {
    router.add(
        HttpMethod.POST, MODEL + "/generate", exchange -> generate(exchange, latest(exchange)));
    router.add(
        HttpMethod.POST, VERSION + "/generate", exchange -> generate(exchange, exact(exchange)));
    router.add(
        HttpMethod.POST,
        MODEL + "/generate_stream",
        exchange -> generate(exchange, latest(exchange), true));
    router.add(
        HttpMethod.POST,
        VERSION + "/generate_stream",
        exchange -> generate(exchange, exact(exchange), true));
  }

  private static ModelId latest(HttpExchange exchange) {
    return ModelId.latest(exchange.variable("model"));
  }

  private static ModelId exact(HttpExchange exchange) {
    return new ModelId(exchange.variable("model"), exchange.variable("version"));
  }

  private void generate(HttpExchange exchange, ModelId model) {
    if (BodyForm.isV2(exchange.body())) {
      v2.infer(exchange, model);
    } else {
      generate(exchange, model, false);
    }
  }

  private void generate(HttpExchange exchange, ModelId model, boolean stream) {
    ModelDescription description = server.models().describe(model);
    ModelMetadata metadata = description.metadata();
    InferenceRequest request = GenerateRequest.read(model, metadata, exchange.body());
    GenerateAnswer answer =
        new GenerateAnswer(stream, !request.id().isEmpty(), metadata.inputs().isEmpty());
    RequestHeaders headers = exchange.requestHeaders();
    if (stream && description.streams()) {
      new GenerateStream(exchange, answer).start(server.stream(request, headers));
    } else {
      exchange.await(server.infer(request, headers), answer);
    }
  }
}
