package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorSpec;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelServer;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonWriter;
import dev.millrace.server.memory.SharedMemory;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The V2 protocol's paths for inference, health and metadata. */
public final class V2Routes implements Routes {
  /** The header that says how long the JSON is that binary tensors follow. */
  static final String HEADER_LENGTH = "Inference-Header-Content-Length";

  private static final String MODEL = "/v2/models/{model}";
  private static final String VERSION = MODEL + "/versions/{version}";

  private final ModelServer server;
  private final String name;
  private final String version;
  private final SharedMemory memory;
  private final V2RequestReader reader;

  /** Routes without shared memory. */
  public V2Routes(ModelServer server, String name, String version) {
    this(server, name, version, SharedMemory.off());
  }

  /**
   * Routes to the models of {@code server}.
   *
   * @param name what the server calls itself in its metadata
   * @param version its own version
   * @param memory where clients may have tensors
   */
  public V2Routes(ModelServer server, String name, String version, SharedMemory memory) {
    this.server = server;
    this.name = name;
    this.version = version;
    this.memory = memory;
    this.reader = new V2RequestReader(id -> server.models().describe(id).metadata(), memory);
  }

  /** The protocol's extensions that a server with this memory has. */
  public static List<String> extensions(SharedMemory memory) {
    List<String> extensions =
        new ArrayList<>(
            List.of(
                "binary_tensor_data",
                "classification",
                "parameters",
                "schedule_policy",
                "model_repository",
                "model_configuration",
                "statistics",
                "logging"));
    if (memory.isOn()) {
      extensions.add("system_shared_memory");
    }
    return extensions;
  }

  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.GET, "/v2", this::serverMetadata);
    router.add(HttpMethod.GET, "/v2/health/live", this::live);
    router.add(HttpMethod.GET, "/v2/health/ready", this::ready);
    router.add(HttpMethod.GET, "/v2/models", this::models);
    router.add(HttpMethod.GET, MODEL, exchange -> modelMetadata(exchange, latest(exchange)));
    router.add(HttpMethod.GET, VERSION, exchange -> modelMetadata(exchange, exact(exchange)));
    router.add(
        HttpMethod.GET, MODEL + "/ready", exchange -> modelReady(exchange, latest(exchange)));
    router.add(
        HttpMethod.GET, VERSION + "/ready", exchange -> modelReady(exchange, exact(exchange)));
    router.add(HttpMethod.POST, MODEL + "/infer", exchange -> infer(exchange, latest(exchange)));
    router.add(HttpMethod.POST, VERSION + "/infer", exchange -> infer(exchange, exact(exchange)));
    new RepositoryRoutes(server.models()).addTo(router);
  }

  private static ModelId latest(HttpExchange exchange) {
    return ModelId.latest(exchange.variable("model"));
  }

  private static ModelId exact(HttpExchange exchange) {
    return new ModelId(exchange.variable("model"), exchange.variable("version"));
  }

  /** Answers a request for inference by that model. */
  public void infer(HttpExchange exchange, ModelId model) {
    infer(exchange, model, exchange.headers().get(HEADER_LENGTH), null);
  }

  /**
   * Answers a request for inference whose headers are not this protocol's.
   *
   * @param headerLength length of the JSON before binary tensors; null if it is all of the body
   * @param binaryType start of the media type of an answer with binary tensors, behind which the
   *     length of the JSON stands; null for this protocol's own header
   */
  public void infer(
      HttpExchange exchange,
      ModelId model,
      @Nullable String headerLength,
      @Nullable String binaryType) {
    V2Request request = reader.read(model, exchange.body(), headerLength);
    OutputFinisher finisher;
    try {
      finisher = OutputFinisher.of(request.options(), model, server.models(), memory);
    } catch (RuntimeException e) {
      request.inference().close();
      throw e;
    }
    exchange.await(
        server.infer(request.inference(), exchange.requestHeaders()),
        new InferAnswer(request.outputs(), finisher, binaryType));
  }

  private void live(HttpExchange exchange) {
    flag(exchange, "live", server.isLive());
  }

  private void ready(HttpExchange exchange) {
    flag(exchange, "ready", server.isReady());
  }

  private static void flag(HttpExchange exchange, String name, boolean value) {
    ByteBuf body = exchange.newBody(32);
    JsonWriter.to(body).beginObject().name(name).bool(value).endObject().finish();
    exchange.respond(value ? 200 : 503, HttpExchange.JSON, body);
  }

  private void modelReady(HttpExchange exchange, ModelId model) {
    if (!server.models().isReady(model)) {
      throw InferenceException.unavailable("Model version not ready");
    }
    ByteBuf body = exchange.newBody(64);
    JsonWriter json = JsonWriter.to(body).beginObject();
    json.name("name").string(model.name());
    json.name("ready").bool(true).endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void serverMetadata(HttpExchange exchange) {
    ByteBuf body = exchange.newBody(256);
    JsonWriter json = JsonWriter.to(body).beginObject();
    json.name("name").string(name);
    json.name("version").string(version);
    json.name("extensions").beginArray();
    extensions(memory).forEach(json::string);
    json.endArray().endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void models(HttpExchange exchange) {
    ByteBuf body = exchange.newBody(256);
    JsonWriter json = JsonWriter.to(body).beginObject().name("models").beginArray();
    server.models().index().stream().map(status -> status.name()).distinct().forEach(json::string);
    json.endArray().endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void modelMetadata(HttpExchange exchange, ModelId model) {
    ModelDescription description = server.models().describe(model);
    ModelMetadata metadata = description.metadata();
    ByteBuf body = exchange.newBody(512);
    JsonWriter json = JsonWriter.to(body).beginObject();
    json.name("name").string(metadata.id().name());
    json.name("versions").beginArray();
    description.versions().forEach(json::string);
    json.endArray();
    json.name("platform").string(metadata.platform());
    specs(json.name("inputs"), metadata.inputs());
    specs(json.name("outputs"), metadata.outputs());
    json.endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private static void specs(JsonWriter json, List<TensorSpec> specs) {
    json.beginArray();
    for (TensorSpec spec : specs) {
      json.beginObject().name("name").string(spec.name());
      json.name("datatype").string(spec.dataType().name());
      V2ResponseWriter.shape(json.name("shape"), spec.shape());
      json.endObject();
    }
    json.endArray();
  }
}
