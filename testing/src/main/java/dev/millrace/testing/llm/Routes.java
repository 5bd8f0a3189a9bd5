package dev.millrace.testing.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.testing.llm.Answer.Events;
import dev.millrace.testing.llm.Answer.Whole;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What vLLM answers at each of its paths, before a script interferes. */
final class Routes {
  private static final int USUAL_DIMENSIONS = 8;
  private static final long MAX_MODEL_LEN = 4096;

  private static final List<String> GUARDED_BY_MAIN =
      List.of("/v1", "/v2", "/inference", "/cohere");

  private static final String RESPONSES = "/v1/responses/";

  private final ScriptedEngine engine;
  private final Dialect dialect;

  /** The responses that are kept, by their names. */
  private final Map<Object, Map<String, @Nullable Object>> responses = new ConcurrentHashMap<>();

  Routes(ScriptedEngine engine) {
    this.engine = engine;
    this.dialect = engine.dialect();
  }

  /** Whether a script applies to requests for this path: those that ask something of a model. */
  static boolean isScripted(String path) {
    return switch (path) {
      case "/health", "/ping", "/version", "/metrics", "/load", "/v1/models" -> false;
      default -> !path.startsWith("/_scripted");
    };
  }

  Answer answer(ReceivedRequest request, Script script) {
    String path = request.path();
    if (isGuarded(path) && !engine.isAllowed(request.header("authorization"))) {
      return Whole.json(401, Json.object("error", "Unauthorized"));
    }
    if (script.text("status") != null) {
      return Errors.scripted(dialect, script);
    }
    boolean get = request.method().equals("GET");
    return switch (path) {
      case "/health", "/ping" -> Whole.empty(engine.healthStatus());
      case "/version" -> Whole.json(200, Json.object("version", dialect.version()));
      case "/metrics" ->
          Whole.text(
              200, "text/plain; version=0.0.4; charset=utf-8", EngineMetrics.text(dialect, engine));
      case "/v1/models" -> get ? models() : notAllowed();
      case "/v1/chat/completions" -> get ? notAllowed() : asked(request, script, this::chat);
      case "/v1/completions" -> get ? notAllowed() : asked(request, script, this::completions);
      case "/v1/embeddings" -> get ? notAllowed() : asked(request, script, this::embeddings);
      case "/tokenize" -> asked(request, script, this::tokenize);
      case "/detokenize" -> asked(request, script, this::detokenize);
      case "/score", "/v1/score" -> asked(request, script, this::score);
      case "/rerank", "/v1/rerank", "/v2/rerank" -> asked(request, script, this::rerank);
      case "/v1/responses" -> ofMain(request, script, this::responses);
      case "/v1/messages" -> ofMain(request, script, this::messages);
      case "/v1/audio/transcriptions", "/v1/audio/translations" ->
          dialect == Dialect.MAIN
              ? Whole.json(
                  200, Json.object("text", "%d bytes of sound".formatted(request.body().length)))
              : notFound();
      default ->
          dialect == Dialect.MAIN && path.startsWith(RESPONSES)
              ? stored(request.method(), path.substring(RESPONSES.length()))
              : notFound();
    };
  }

  /** What is asked of a response that was made before. */
  private Answer stored(String method, String rest) {
    boolean cancels = method.equals("POST") && rest.endsWith("/cancel");
    String id = cancels ? rest.substring(0, rest.length() - "/cancel".length()) : rest;
    Map<String, @Nullable Object> response = responses.get(id);
    if (response == null) {
      return Errors.answer(
          dialect, 404, "Response with id '%s' not found.".formatted(id), "response_id");
    }
    if (method.equals("DELETE")) {
      responses.remove(id);
      return Whole.json(200, Json.object("id", id, "object", "response", "deleted", true));
    }
    if (cancels) {
      response.put("status", "cancelled");
    }
    return method.equals("GET") || cancels ? Whole.json(200, response) : notAllowed();
  }

  private boolean isGuarded(String path) {
    return switch (dialect) {
      case V0_7_1 -> path.startsWith("/v1");
      case MAIN -> GUARDED_BY_MAIN.stream().anyMatch(path::startsWith);
    };
  }

  private static Whole notFound() {
    return Whole.json(404, Json.object("detail", "Not Found"));
  }

  private static Whole notAllowed() {
    return Whole.json(405, Json.object("detail", "Method Not Allowed"));
  }

  private Whole bad(String message) {
    return Errors.answer(dialect, 400, message, null);
  }

  private interface Endpoint {
    Answer answer(Map<?, ?> request, Script script, String id);
  }

  private Answer ofMain(ReceivedRequest request, Script script, Endpoint endpoint) {
    return dialect == Dialect.MAIN ? asked(request, script, endpoint) : notFound();
  }

  private Answer asked(ReceivedRequest request, Script script, Endpoint endpoint) {
    String type = request.header("content-type");
    if (dialect == Dialect.MAIN && (type == null || !type.startsWith("application/json"))) {
      return bad("Unsupported Media Type: Only 'application/json' is allowed");
    }
    Object body;
    try {
      body = Json.parse(request.text());
    } catch (IllegalArgumentException e) {
      return bad(
          "[{'type': 'json_invalid', 'msg': 'JSON decode error: %s'}]".formatted(e.getMessage()));
    }
    if (!(body instanceof Map<?, ?> fields)) {
      return bad("[{'type': 'model_attributes_type', 'loc': ('body',)}]");
    }
    Object model = fields.get("model");
    if (model == null && dialect == Dialect.V0_7_1) {
      return missing("model");
    }
    if (model != null && !model.equals("") && !engine.models().contains(model)) {
      return Errors.answer(
          dialect, 404, "The model `%s` does not exist.".formatted(model), "model");
    }
    String id = request.header("x-request-id");
    return endpoint.answer(
        fields, script, id == null ? UUID.randomUUID().toString().replace("-", "") : id);
  }

  private Whole missing(String field) {
    return bad(
        "[{'type': 'missing', 'loc': ('body', '%s'), 'msg': 'Field required'}]".formatted(field));
  }

  // ---- generation

  private Answer chat(Map<?, ?> request, Script script, String id) {
    if (!(request.get("messages") instanceof List<?>)) {
      return missing("messages");
    }
    if ("required".equals(request.get("tool_choice")) && dialect == Dialect.V0_7_1) {
      return bad("`tool_choice` must either be a named tool, \"auto\", or \"none\".");
    }
    if (request.get("top_logprobs") != null && !Boolean.TRUE.equals(request.get("logprobs"))) {
      return bad("when using `top_logprobs`, `logprobs` must be set to true.");
    }
    return generated(request, script, new Generation(dialect, request, script, true, id));
  }

  private Answer completions(Map<?, ?> request, Script script, String id) {
    if (request.get("prompt") == null) {
      return missing("prompt");
    }
    return generated(request, script, new Generation(dialect, request, script, false, id));
  }

  private Answer generated(Map<?, ?> request, Script script, Generation generation) {
    boolean stream = Boolean.TRUE.equals(request.get("stream"));
    if (!stream && request.get("stream_options") != null) {
      return bad("Stream options can only be defined when `stream=True`.");
    }
    if (stream && request.get("prompt_logprobs") != null) {
      return bad("`prompt_logprobs` are not available when `stream=True`.");
    }
    return stream && !script.is("stream", "no")
        ? new Events(generation.events(), !script.is("done", "no"))
        : Whole.json(200, generation.whole());
  }

  private Answer responses(Map<?, ?> request, Script script, String id) {
    String text = String.valueOf(request.get("input"));
    Map<String, @Nullable Object> response =
        Json.object(
            "id",
            "resp_" + id,
            "object",
            "response",
            "model",
            request.get("model"),
            "status",
            "completed",
            "output",
            List.of(
                Json.object(
                    "type",
                    "message",
                    "role",
                    "assistant",
                    "content",
                    List.of(Json.object("type", "output_text", "text", text)))));
    Object previous = request.get("previous_response_id");
    if (previous != null && !responses.containsKey(previous)) {
      return Errors.answer(
          dialect, 404, "Response with id '%s' not found.".formatted(previous), "response_id");
    }
    if (!Boolean.FALSE.equals(request.get("store"))) {
      responses.put("resp_" + id, response);
    }
    if (!Boolean.TRUE.equals(request.get("stream"))) {
      return Whole.json(200, response);
    }
    List<Supplier<String>> events = new ArrayList<>();
    events.add(() ->
        named("response.created", Json.object("type", "response.created", "response", response)));
    for (String word : text.split(" ", -1)) {
      events.add(() ->
          named(
              "response.output_text.delta",
              Json.object("type", "response.output_text.delta", "delta", word)));
    }
    events.add(() ->
        named(
            "response.completed", Json.object("type", "response.completed", "response", response)));
    return new Events(events, false);
  }

  private Answer messages(Map<?, ?> request, Script script, String id) {
    String text = Prompts.lastMessage(request);
    Map<String, @Nullable Object> message =
        Json.object(
            "id",
            "msg_" + id,
            "type",
            "message",
            "role",
            "assistant",
            "content",
            List.of(Json.object("type", "text", "text", text)),
            "model",
            request.get("model"),
            "stop_reason",
            "end_turn");
    if (!Boolean.TRUE.equals(request.get("stream"))) {
      return Whole.json(200, message);
    }
    return new Events(
        List.of(
            () -> named("message_start", Json.object("type", "message_start", "message", message)),
            () -> named("message_stop", Json.object("type", "message_stop"))),
        false);
  }

  private static String named(String event, Object data) {
    return "event: %s\ndata: %s".formatted(event, Json.compact(data));
  }

  // ---- the others

  private Answer models() {
    List<Object> data = new ArrayList<>();
    String base = engine.models().getFirst();
    for (String model : engine.models()) {
      boolean isAdapter = engine.adapters().contains(model);
      data.add(
          Json.object(
              "id",
              model,
              "object",
              "model",
              "created",
              engine.startedSeconds(),
              "owned_by",
              "vllm",
              "root",
              isAdapter ? "/adapters/" + model : base,
              "parent",
              isAdapter ? base : null,
              "max_model_len",
              isAdapter ? null : MAX_MODEL_LEN,
              "permission",
              List.of(
                  Json.object(
                      "id",
                      "modelperm-"
                          + UUID.nameUUIDFromBytes(model.getBytes(UTF_8))
                              .toString()
                              .replace("-", ""),
                      "object",
                      "model_permission",
                      "created",
                      engine.startedSeconds(),
                      "allow_create_engine",
                      false,
                      "allow_sampling",
                      true,
                      "allow_logprobs",
                      true,
                      "allow_search_indices",
                      false,
                      "allow_view",
                      true,
                      "allow_fine_tuning",
                      false,
                      "organization",
                      "*",
                      "group",
                      null,
                      "is_blocking",
                      false))));
    }
    return Whole.json(200, Json.object("object", "list", "data", data));
  }

  private static Map<String, @Nullable Object> usage(int promptTokens) {
    return Json.object(
        "prompt_tokens",
        (long) promptTokens,
        "total_tokens",
        (long) promptTokens,
        "completion_tokens",
        0L,
        "prompt_tokens_details",
        null);
  }

  private static int words(List<String> texts) {
    return texts.stream().mapToInt(text -> text.split(" ", -1).length).sum();
  }

  private Answer embeddings(Map<?, ?> request, Script script, String id) {
    if (request.get("input") == null && request.get("messages") == null) {
      return missing("input");
    }
    List<String> inputs =
        request.get("input") == null
            ? List.of(Prompts.lastMessage(request))
            : Prompts.of(request.get("input"));
    int dimensions =
        request.get("dimensions") instanceof Long given ? (int) (long) given : USUAL_DIMENSIONS;
    List<Object> data = new ArrayList<>();
    for (String input : inputs) {
      float[] vector = vector(input, dimensions);
      data.add(
          Json.object(
              "index",
              (long) data.size(),
              "object",
              "embedding",
              "embedding",
              "base64".equals(request.get("encoding_format")) ? base64(vector) : listed(vector)));
    }
    return Whole.json(
        200,
        Json.object(
            "id",
            "embd-" + id,
            "object",
            "list",
            "created",
            System.currentTimeMillis() / 1000,
            "model",
            request.get("model"),
            "data",
            data,
            "usage",
            usage(words(inputs))));
  }

  /** A vector that only this text has, and always. */
  private static float[] vector(String text, int dimensions) {
    SplittableRandom random = new SplittableRandom(text.hashCode());
    float[] vector = new float[dimensions];
    for (int i = 0; i < dimensions; i++) {
      vector[i] = random.nextInt(-1000, 1000) / 1000f;
    }
    return vector;
  }

  private static String base64(float[] vector) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Float.BYTES * vector.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : vector) {
      bytes.putFloat(value);
    }
    return Base64.getEncoder().encodeToString(bytes.array());
  }

  private static List<Object> listed(float[] vector) {
    List<Object> list = new ArrayList<>();
    for (float value : vector) {
      list.add(Double.valueOf(Float.toString(value)));
    }
    return list;
  }

  private static List<Long> tokens(String text) {
    return Arrays.stream(text.split(" ", -1)).map(word -> (long) word.hashCode() & 0xFFFF).toList();
  }

  private Answer tokenize(Map<?, ?> request, Script script, String id) {
    Object prompt = request.get("prompt");
    List<Long> tokens = tokens(prompt == null ? Prompts.lastMessage(request) : prompt.toString());
    return Whole.json(
        200,
        Json.object(
            "count", (long) tokens.size(), "max_model_len", MAX_MODEL_LEN, "tokens", tokens));
  }

  private Answer detokenize(Map<?, ?> request, Script script, String id) {
    return request.get("tokens") instanceof List<?> tokens
        ? Whole.json(200, Json.object("prompt", Prompts.of(tokens).getFirst()))
        : missing("tokens");
  }

  private static double similarity(String one, String other) {
    float[] a = vector(one, USUAL_DIMENSIONS);
    float[] b = vector(other, USUAL_DIMENSIONS);
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  private Answer score(Map<?, ?> request, Script script, String id) {
    List<String> first = Prompts.of(request.get("text_1"));
    List<String> second = Prompts.of(request.get("text_2"));
    List<Object> data = new ArrayList<>();
    for (int i = 0; i < second.size(); i++) {
      String one = first.get(first.size() == 1 ? 0 : i);
      data.add(
          Json.object(
              "index", (long) i, "object", "score", "score", similarity(one, second.get(i))));
    }
    return Whole.json(
        200,
        Json.object(
            "id",
            "embd-" + id,
            "object",
            "list",
            "created",
            System.currentTimeMillis() / 1000,
            "model",
            request.get("model"),
            "data",
            data,
            "usage",
            usage(words(first) + words(second))));
  }

  private Answer rerank(Map<?, ?> request, Script script, String id) {
    String query = String.valueOf(request.get("query"));
    List<String> documents = Prompts.of(request.get("documents"));
    List<Map<String, @Nullable Object>> results = new ArrayList<>();
    for (int i = 0; i < documents.size(); i++) {
      results.add(
          Json.object(
              "index",
              (long) i,
              "document",
              Json.object("text", documents.get(i)),
              "relevance_score",
              similarity(query, documents.get(i))));
    }
    results.sort((a, b) ->
        Double.compare(
            (double) (Double) java.util.Objects.requireNonNull(b.get("relevance_score")),
            (double) (Double) java.util.Objects.requireNonNull(a.get("relevance_score"))));
    long top = request.get("top_n") instanceof Long n && n > 0 ? n : results.size();
    return Whole.json(
        200,
        Json.object(
            "id",
            "rerank-" + id,
            "model",
            request.get("model"),
            "usage",
            Json.object("total_tokens", (long) words(documents)),
            "results",
            results.subList(0, (int) Math.min(top, results.size()))));
  }
}
