package dev.millrace.server.llm;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.api.spi.TextGenerator;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.runtime.ModelLease;
import dev.millrace.runtime.ModelServer;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonWriter;
import dev.millrace.server.transport.EventLoops;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.util.concurrent.EventExecutor;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The paths of OpenAI's API, and of what vLLM has beside it, at the root and behind a prefix. Only
 * what {@link Operation} lists is let through.
 */
public final class LlmRoutes implements Routes, RelayParts {
  private static final String REQUEST_ID = "X-Request-Id";
  private static final int LONGEST_ID = 256;
  private static final Pattern RESPONSE_ID = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,255}");

  /** How often models are looked for that nobody has asked for yet. */
  private static final Duration DISCOVERY = Duration.ofSeconds(1);

  private final ModelServer server;
  private final LlmConfig config;
  private final LlmModels models;
  private final ApiKeys keys;
  private final LocalEmbeddings embeddings;
  private final LocalGeneration generation = new LocalGeneration();
  private final GenerationLog log = new GenerationLog();
  private final ResponseHomes homes = new ResponseHomes();
  private final Map<EventLoop, UpstreamPool> pools = new HashMap<>();
  private final String idPrefix = "mr-" + Integer.toHexString(new Random().nextInt()) + "-";
  private final AtomicLong ids = new AtomicLong();
  private final long startSeconds = System.currentTimeMillis() / 1000;

  /** Whether requests for {@code servable} have the form of OpenAI's API. */
  public static boolean isLanguageModel(Servable servable) {
    return servable instanceof UpstreamModel || servable instanceof TextGenerator;
  }

  /**
   * Routes to the models of {@code server}.
   *
   * @param loops the event loops of the clients' connections, which the upstreams' share
   * @throws InferenceException INVALID_ARGUMENT if the keys cannot be read
   */
  public LlmRoutes(ModelServer server, EventLoops loops, LlmConfig config) {
    this.server = server;
    this.config = config;
    this.keys = new ApiKeys(config.keysFile());
    for (EventExecutor executor : loops.group()) {
      EventLoop loop = (EventLoop) executor;
      pools.put(loop, new UpstreamPool(loop));
    }
    this.models =
        new LlmModels(
            server.models(), server.meters(), model -> watch(model, loops.group().next()));
    this.embeddings = new LocalEmbeddings(server);
    var _ =
        loops
            .group()
            .next()
            .scheduleWithFixedDelay(
                models::discover, 0, DISCOVERY.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void watch(ServedModel model, EventLoop loop) {
    new Monitor(model, pool(loop), loop, () -> models.isCurrent(model)).start();
  }

  /** The names of all models, with their other names. */
  public List<String> names() {
    return models.names();
  }

  @Override
  public void addTo(Router router) {
    Set<String> prefixes = new LinkedHashSet<>(List.of("", config.prefix()));
    for (String prefix : prefixes) {
      boolean isKserve = !prefix.isEmpty();
      for (Operation operation : Operation.values()) {
        router.add(
            operation.method(),
            prefix + operation.path(),
            exchange -> handle(exchange, operation, isKserve));
      }
      if (isKserve) { // at the root, the protocols that share these paths answer for all
        router.add(HttpMethod.GET, prefix + "/v1/models", this::list);
        router.add(HttpMethod.GET, prefix + "/v1/models/{model}", this::model);
      }
    }
  }

  private void handle(HttpExchange exchange, Operation operation, boolean isKserve) {
    String owner = owner(exchange);
    if (owner == null) {
      return;
    }
    LlmRequest request;
    String model;
    try {
      String path = operation.upstreamPath();
      String response = null;
      RequestScan scan;
      if (operation.isOfResponse()) {
        response = response(exchange);
        path = path.replace("{" + Operation.ID + "}", response);
        scan = RequestScan.ofForm(Unpooled.EMPTY_BUFFER); // whatever is in it, no model is
      } else {
        scan =
            operation.isForm()
                ? RequestScan.ofForm(exchange.body())
                : RequestScan.of(exchange.body());
        response = operation == Operation.RESPONSES ? scan.previousResponse() : null;
      }
      ResponseHomes.Home home = response == null ? null : home(response, operation, owner);
      model = home != null && operation.isOfResponse() ? home.model() : scan.model();
      request =
          new LlmRequest(
              exchange,
              operation,
              path + query(exchange.target()),
              scan,
              exchange.body().retain(),
              owner,
              id(exchange),
              isKserve,
              false,
              home == null ? null : home.upstream());
    } catch (InferenceException e) {
      OpenAiErrors.fail(exchange, OpenAiErrors.status(e.code()), e.getMessage(), "");
      return;
    }
    onEventLoop(exchange, () -> start(request, model), request::close);
  }

  /** The name of the response that a request is about, as it may stand in a path. */
  private static String response(HttpExchange exchange) {
    String id = exchange.variable(Operation.ID);
    if (!RESPONSE_ID.matcher(id).matches()) {
      throw noResponse(id);
    }
    return id;
  }

  private static InferenceException noResponse(String id) {
    return InferenceException.notFound("The response `%s` does not exist.".formatted(id));
  }

  /**
   * Where a response is; null if nobody knows.
   *
   * @throws InferenceException NOT_FOUND if it is another client's, or if nobody knows and it could
   *     be any model's
   */
  private ResponseHomes.@Nullable Home home(String response, Operation operation, String owner) {
    ResponseHomes.Home home = homes.find(response);
    if (home == null && operation.isOfResponse() && !models.isOnly()) {
      throw noResponse(response);
    }
    if (home != null && keys.areRequired() && !home.owner().equals(owner)) {
      throw noResponse(response);
    }
    return home;
  }

  /** Whose request it is; null if it was refused. */
  private @Nullable String owner(HttpExchange exchange) {
    String owner =
        keys.owner(
            exchange.headers().get(HttpHeaderNames.AUTHORIZATION),
            exchange.headers().get(RequestHead.API_KEY));
    if (owner == null) {
      exchange.header("WWW-Authenticate", "Bearer");
      OpenAiErrors.fail(
          exchange,
          401,
          "the API key is missing or not known; expected 'Authorization: Bearer KEY'",
          "invalid_api_key");
    }
    return owner;
  }

  private static String query(String target) {
    int start = target.indexOf('?');
    return start < 0 ? "" : target.substring(start);
  }

  private String id(HttpExchange exchange) {
    String id = exchange.headers().get(REQUEST_ID);
    if (id == null || id.isBlank()) {
      return idPrefix + Long.toHexString(ids.incrementAndGet());
    }
    return id.length() <= LONGEST_ID ? id : id.substring(0, LONGEST_ID);
  }

  private static void onEventLoop(HttpExchange exchange, Runnable task, Runnable refused) {
    if (exchange.eventLoop().inEventLoop()) {
      task.run();
      return;
    }
    try {
      exchange.eventLoop().execute(task);
    } catch (RejectedExecutionException stopped) {
      refused.run();
    }
  }

  // ---- for relays

  @Override
  public UpstreamPool pool(EventLoop loop) {
    UpstreamPool pool = pools.get(loop);
    if (pool == null) {
      throw new IllegalStateException("not one of the server's event loops");
    }
    return pool;
  }

  @Override
  public ResponseHomes homes() {
    return homes;
  }

  @Override
  public GenerationLog log() {
    return log;
  }

  @Override
  public boolean takeMemory(int bytes) {
    return server.takeMemory(bytes);
  }

  @Override
  public void giveMemory(int bytes) {
    server.giveMemory(bytes);
  }

  @Override
  public void start(LlmRequest request, String name) {
    Target target;
    try {
      Target found = models.find(name);
      target = request.isFallback() ? new Target(found.lease(), Target.Naming.ALIAS) : found;
    } catch (RuntimeException e) {
      request.close();
      OpenAiErrors.fail(request.exchange(), e);
      return;
    }
    ModelLease lease = target.lease();
    try {
      switch (lease.servable()) {
        case UpstreamModel upstream ->
            new Relay(this, request, target, models.served(lease.id(), upstream)).start();
        case TextGenerator generator -> generation.start(request, target, generator);
        case TensorModel _ -> {
          embeddings.start(request, lease);
          request.close();
          lease.close();
        }
      }
    } catch (RuntimeException e) { // nobody has taken anything over
      request.close();
      lease.close();
      OpenAiErrors.fail(request.exchange(), e);
    }
  }

  // ---- what there is

  private void list(HttpExchange exchange) {
    if (owner(exchange) == null) {
      return;
    }
    ByteBuf body = exchange.newBody(512);
    JsonWriter json = JsonWriter.to(body).beginObject();
    json.name("object").string("list").name("data").beginArray();
    models.names().forEach(name -> describe(json, name));
    json.endArray().endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private void describe(JsonWriter json, String name) {
    json.beginObject().name("id").string(name).name("object").string("model");
    json.name("created").number(startSeconds).name("owned_by").string("millrace").endObject();
  }

  private void model(HttpExchange exchange) {
    if (owner(exchange) == null) {
      return;
    }
    String name = exchange.variable("model");
    try {
      models.find(name).lease().close();
    } catch (InferenceException e) {
      OpenAiErrors.fail(exchange, e);
      return;
    }
    ByteBuf body = exchange.newBody(256);
    JsonWriter json = JsonWriter.to(body);
    describe(json, name);
    json.finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  /** The error for a model that cannot do what is asked. */
  static InferenceException cannot(String model, Operation operation, String expected) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT,
        "the model `%s` does not answer %s: %s".formatted(model, operation.path(), expected));
  }
}
