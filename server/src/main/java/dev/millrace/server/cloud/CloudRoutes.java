package dev.millrace.server.cloud;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.RouteHandler;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.v1.V1Routes;
import dev.millrace.server.v2.BodyForm;
import dev.millrace.server.v2.V2Routes;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Paths that name no model: SageMaker's {@code /ping} and {@code /invocations}, and two paths of
 * the platform's choice, which Vertex AI names in its environment. Requests are those of V1 or V2,
 * told apart by their bodies, or those of V2 with binary tensors in the clouds' own media types.
 * {@code /predict} is V1's alone, unless it is the platform's choice.
 */
public final class CloudRoutes implements Routes {
  private static final Pattern BINARY =
      Pattern.compile(
          "application/vnd\\.(sagemaker|vertex-ai)-triton\\.binary\\+json\\s*;\\s*json-header-size\\s*=\\s*(\\S+)\\s*",
          Pattern.CASE_INSENSITIVE);

  private static final String SAGEMAKER_BINARY =
      "application/vnd.sagemaker-triton.binary+json;json-header-size=";

  private final ModelServer server;
  private final V1Routes v1;
  private final V2Routes v2;
  private final CloudConfig config;

  /** Routes to the models of {@code server}, over those of the two protocols. */
  public CloudRoutes(ModelServer server, V1Routes v1, V2Routes v2, CloudConfig config) {
    this.server = server;
    this.v1 = v1;
    this.v2 = v2;
    this.config = config;
  }

  /** To be called after all other routes were added: paths that are answered are left alone. */
  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.GET, "/ping", this::health);
    router.add(HttpMethod.POST, "/invocations", this::predict);
    config.healthRoute().ifPresent(path -> add(router, HttpMethod.GET, path, this::health));
    config.predictRoute().ifPresent(path -> add(router, HttpMethod.POST, path, this::predict));
    add(router, HttpMethod.POST, "/predict", v1::predict);
  }

  private static void add(Router router, HttpMethod method, String path, RouteHandler handler) {
    if (!router.answers(method, path)) {
      router.add(method, path, handler);
    }
  }

  private void health(HttpExchange exchange) {
    exchange.respond(server.isReady() ? 200 : 503);
  }

  private void predict(HttpExchange exchange) {
    ModelId model = model();
    Matcher binary = binary(exchange.headers().get(HttpHeaderNames.CONTENT_TYPE));
    if (binary != null) {
      boolean sageMaker = binary.group(1).equalsIgnoreCase("sagemaker");
      v2.infer(exchange, model, binary.group(2), sageMaker ? SAGEMAKER_BINARY : null);
    } else if (BodyForm.isV2(exchange.body())) {
      v2.infer(exchange, model);
    } else {
      v1.predict(exchange, model);
    }
  }

  private static @Nullable Matcher binary(@Nullable String contentType) {
    if (contentType == null) {
      return null;
    }
    Matcher matcher = BINARY.matcher(contentType);
    return matcher.matches() ? matcher : null;
  }

  private ModelId model() {
    if (config.defaultModel().isPresent()) {
      return ModelId.latest(config.defaultModel().get());
    }
    List<String> names =
        server.models().index().stream().map(ModelStatus::name).distinct().toList();
    if (names.isEmpty()) {
      throw InferenceException.unavailable("there is no model yet");
    }
    if (names.size() > 1) {
      throw InferenceException.invalidArgument(
          "this path is for the default model, but there are %d models, and default-model says none of them"
              .formatted(names.size()));
    }
    return ModelId.latest(names.getFirst());
  }
}
