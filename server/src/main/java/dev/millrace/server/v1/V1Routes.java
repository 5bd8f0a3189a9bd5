package dev.millrace.server.v1;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.runtime.Headers;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.ModelState;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.runtime.Trace;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.RequestHeaders;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.v2.RequestLimits;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/**
 * The paths under {@code /v1/models}, which are KServe's and TF Serving's at the same time.
 *
 * <p>{@code /predict}, {@code /classify} and {@code /regress}, where Hopsworks runs a script
 * without KServe, are of the only model.
 *
 * <p>Where the two differ: a list of models and the state of one are answered with the members of
 * both; the texts of errors are TF Serving's.
 */
public final class V1Routes implements Routes {
  /** A client's name for a request; given back. */
  private static final String REQUEST_ID = "X-Request-Id";

  private static final String MODEL = "/v1/models/{model}";
  private static final String VERSION = MODEL + "/versions/{version}";
  private static final String LABEL = MODEL + "/labels/{label}";

  private final ModelServer server;
  private final ServedModels models;
  private final Supplier<List<String>> openAiNames;
  private final V1Config config;
  private final StatusWriter writer = new StatusWriter(System.currentTimeMillis() / 1000);

  /** Routes to the models of {@code server}. */
  public V1Routes(ModelServer server, V1Config config) {
    this(server, () -> names(server), config);
  }

  /**
   * As above.
   *
   * @param openAiNames what OpenAI's clients may call the models
   */
  public V1Routes(ModelServer server, Supplier<List<String>> openAiNames, V1Config config) {
    this.openAiNames = openAiNames;
    this.config = config;
    this.server = server;
    this.models = new ServedModels(server.models());
  }

  private static List<String> names(ModelServer server) {
    return new ServedModels(server.models()).names();
  }

  /** Tells which model a path is of. */
  private interface Named {
    ModelId id(HttpExchange exchange);
  }

  /** Answers for a model. */
  private interface ModelHandler {
    void handle(HttpExchange exchange, ModelId model);
  }

  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.GET, "/v1/models", this::list);
    router.add(HttpMethod.GET, MODEL, this::status);
    add(router, HttpMethod.GET, "/metadata", this::metadata);
    add(router, HttpMethod.POST, ":predict", this::predict);
    add(router, HttpMethod.POST, ":classify", this::classify);
    add(router, HttpMethod.POST, ":regress", this::regress);
    add(router, HttpMethod.POST, ":explain", V1Routes::explain);
    router.add(HttpMethod.POST, "/classify", exchange -> script(exchange, "classify:"));
    router.add(HttpMethod.POST, "/regress", exchange -> script(exchange, "regress:"));
    router.add(HttpMethod.GET, VERSION, exchange -> versions(exchange, versioned(exchange)));
    router.add(HttpMethod.GET, LABEL, exchange -> versions(exchange, labelled(exchange)));
  }

  private void add(Router router, HttpMethod method, String suffix, ModelHandler handler) {
    add(router, method, MODEL + suffix, V1Routes::latest, handler);
    add(router, method, VERSION + suffix, V1Routes::versioned, handler);
    add(router, method, LABEL + suffix, this::labelled, handler);
  }

  private static void add(
      Router router, HttpMethod method, String path, Named named, ModelHandler handler) {
    router.add(method, path, exchange -> handler.handle(exchange, named.id(exchange)));
  }

  private static ModelId latest(HttpExchange exchange) {
    return ModelId.latest(exchange.variable("model"));
  }

  private static ModelId versioned(HttpExchange exchange) {
    String version = exchange.variable("version");
    if (!version.chars().allMatch(c -> c >= '0' && c <= '9')) {
      throw InferenceException.invalidArgument(
          "Malformed request: the version '%s' is not a number"
              .formatted(V1Errors.shortened(version)));
    }
    return new ModelId(exchange.variable("model"), version.replaceFirst("^0+(?=.)", ""));
  }

  private ModelId labelled(HttpExchange exchange) {
    return models.labelled(exchange.variable("model"), exchange.variable("label"));
  }

  /** Answers a request for predictions by the only model. */
  public void predict(HttpExchange exchange) {
    predict(exchange, models.only());
  }

  /** Answers a request for predictions by that model. */
  public void predict(HttpExchange exchange, ModelId model) {
    String id = requestId(exchange);
    Signature signature = models.signatures(model).namedIn(exchange.body());
    answer(exchange, PredictReader.read(id, "", model, signature, exchange.body()));
  }

  private void answer(HttpExchange exchange, PredictRequest request) {
    exchange.await(
        server.infer(request.inference(), headers(exchange)),
        new ResponseAnswer((response, out) ->
            PredictWriter.write(response, request.form(), config.batchKeys(), out)));
  }

  /**
   * A verb of the server that Hopsworks runs scripts in without KServe. Any other model takes
   * examples.
   */
  private void script(HttpExchange exchange, String verb) {
    ModelId model = models.only();
    ModelMetadata metadata = models.metadata(model);
    if (metadata.inputs().isEmpty()) {
      String id = requestId(exchange);
      answer(
          exchange, PredictReader.read(id, verb, model, Signatures.of(metadata), exchange.body()));
    } else if (verb.startsWith("classify")) {
      classify(exchange, model);
    } else {
      regress(exchange, model);
    }
  }

  private void classify(HttpExchange exchange, ModelId model) {
    exchange.await(infer(exchange, model), new ResponseAnswer(ResultsWriter::classifications));
  }

  private void regress(HttpExchange exchange, ModelId model) {
    exchange.await(infer(exchange, model), new ResponseAnswer(ResultsWriter::regressions));
  }

  /** Starts on a request of examples. */
  private CompletableFuture<InferenceResponse> infer(HttpExchange exchange, ModelId model) {
    Signature signature = models.signatures(model).namedIn(exchange.body());
    return server.infer(
        ExamplesReader.read(requestId(exchange), model, signature, exchange.body()),
        headers(exchange));
  }

  /** The request's headers, and what tells the logger by which protocol it came. */
  private static Headers headers(HttpExchange exchange) {
    RequestHeaders sent = exchange.requestHeaders();
    return new Headers() {
      @Override
      public Trace trace() {
        return sent.trace();
      }

      @Override
      public void forEach(BiConsumer<String, String> action) {
        action.accept(":protocol", "v1");
        sent.forEach(action);
      }
    };
  }

  private static void explain(HttpExchange exchange, ModelId model) {
    throw new InferenceException(
        ErrorCode.UNIMPLEMENTED,
        "Model with name %s does not support explain".formatted(model.name()));
  }

  /** The client's name for the request, which goes back with the answer; empty if it has none. */
  private static String requestId(HttpExchange exchange) {
    String id = exchange.headers().get(REQUEST_ID);
    if (id == null) {
      return "";
    }
    RequestLimits.checkId(id);
    exchange.header(REQUEST_ID, id);
    return id;
  }

  private void list(HttpExchange exchange) {
    List<String> names = models.names();
    ByteBuf body = exchange.newBody(256);
    writer.models(names, openAiNames.get(), body);
    exchange.respond(200, HttpExchange.JSON, body);
  }

  /** Says where a model is; 503 if nothing of it serves, as KServe's clients and probes expect. */
  private void status(HttpExchange exchange) {
    String name = exchange.variable("model");
    List<ModelStatus> versions;
    try {
      versions = models.statuses(ModelId.latest(name));
    } catch (InferenceException e) {
      if (e.code() == ErrorCode.NOT_FOUND && openAiNames.get().contains(name)) {
        ByteBuf body = exchange.newBody(256);
        writer.otherName(name, body);
        exchange.respond(200, HttpExchange.JSON, body);
        return;
      }
      throw e;
    }
    boolean ready = versions.stream().anyMatch(status -> status.state() == ModelState.READY);
    ByteBuf body = exchange.newBody(256);
    writer.model(name, ready, versions, body);
    exchange.respond(ready ? 200 : 503, HttpExchange.JSON, body);
  }

  private void versions(HttpExchange exchange, ModelId model) {
    List<ModelStatus> versions = models.statuses(model);
    ByteBuf body = exchange.newBody(256);
    StatusWriter.versions(versions, body);
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void metadata(HttpExchange exchange, ModelId model) {
    Signatures signatures = models.signatures(model);
    ByteBuf body = exchange.newBody(512);
    StatusWriter.signatures(signatures, body);
    exchange.respond(200, HttpExchange.JSON, body);
  }
}
