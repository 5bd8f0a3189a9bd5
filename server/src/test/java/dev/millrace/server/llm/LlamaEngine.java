package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaIterator;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.LlamaOutput;
import de.kherud.llama.ModelParameters;
import de.kherud.llama.args.PoolingType;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A process that answers with llama.cpp over OpenAI's API, as the JDK's own server speaks HTTP: an
 * engine that nobody here wrote, behind framing that nobody here wrote.
 *
 * <p>Prints {@code port N} when it listens, {@code missing: why} if there is no native library for
 * this machine, and {@code cancelled} for each stream whose client went away. Ends when its input
 * does, and by halting, since a thread of the library stays.
 */
final class LlamaEngine {
  private static final int MOST_TOKENS = 16;

  private final LlamaModel generating;
  private final LlamaModel embedding;

  private LlamaEngine(String file) {
    generating = new LlamaModel(parameters(file));
    // Without pooling the vector is that of <s>, whatever the text; for the mean, the library
    // aborts.
    embedding = new LlamaModel(parameters(file).enableEmbedding().setPoolingType(PoolingType.LAST));
  }

  private static ModelParameters parameters(String file) {
    return new ModelParameters().setModel(file).setCtxSize(2048).setThreads(1).setGpuLayers(0);
  }

  /** The argument is the model's file; if it is not there, a tiny one is made. */
  public static void main(String[] arguments) throws IOException {
    int code = 0;
    try {
      Path file = Path.of(arguments[0]);
      if (Files.notExists(file)) {
        TinyModelFile.write(file);
      }
      LlamaEngine engine = new LlamaEngine(arguments[0]);
      HttpServer server =
          HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      server.setExecutor(Executors.newCachedThreadPool());
      server.createContext("/", engine::answer);
      server.start();
      System.out.println("port " + server.getAddress().getPort());
      while (System.in.read() >= 0) {
        // Until whoever started this is gone.
      }
    } catch (UnsatisfiedLinkError e) {
      System.out.println("missing: " + e.getMessage());
    } catch (Throwable e) {
      System.out.println("failed: " + e);
      code = 1;
    }
    System.out.flush();
    Runtime.getRuntime().halt(code);
  }

  private void answer(HttpExchange exchange) throws IOException {
    try {
      String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
      switch (exchange.getRequestURI().getPath()) {
        case "/health" -> send(exchange, 200, "{}");
        case "/v1/embeddings" -> embed(exchange, fields(body));
        case "/v1/completions" -> {
          Map<?, ?> request = fields(body);
          generate(exchange, request, needed(request, "prompt").toString(), false);
        }
        case "/v1/chat/completions" -> {
          Map<?, ?> request = fields(body);
          String prompt =
              ((List<?>) needed(request, "messages"))
                  .stream()
                      .map(message -> String.valueOf(((Map<?, ?>) message).get("content")))
                      .collect(Collectors.joining("\n"));
          generate(exchange, request, prompt, true);
        }
        default -> send(exchange, 404, error("there is no " + exchange.getRequestURI()));
      }
    } catch (IllegalArgumentException | ClassCastException e) {
      send(exchange, 400, error("not a request: " + e.getMessage()));
    } finally {
      exchange.close();
    }
  }

  private static Map<?, ?> fields(String body) {
    if (JsonTree.parse(body) instanceof Map<?, ?> fields) {
      return fields;
    }
    throw new IllegalArgumentException("expected an object");
  }

  private static Object needed(Map<?, ?> request, String field) {
    Object value = request.get(field);
    if (value == null) {
      throw new IllegalArgumentException("expected " + field);
    }
    return value;
  }

  private static String error(String message) {
    return JsonTree.text(
        JsonTree.object(
            "error",
            JsonTree.object("message", message, "type", "invalid_request_error", "code", null)));
  }

  private static void send(HttpExchange exchange, int status, String json) throws IOException {
    byte[] bytes = json.getBytes(UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  private void embed(HttpExchange exchange, Map<?, ?> request) throws IOException {
    List<?> inputs =
        needed(request, "input") instanceof List<?> many ? many : List.of(needed(request, "input"));
    List<Object> data = new ArrayList<>();
    int tokens = 0;
    for (Object input : inputs) {
      List<Object> vector = new ArrayList<>();
      for (float value : embedding.embed(String.valueOf(input))) {
        vector.add(value);
      }
      tokens += embedding.encode(String.valueOf(input)).length;
      data.add(JsonTree.object("object", "embedding", "index", data.size(), "embedding", vector));
    }
    send(
        exchange,
        200,
        JsonTree.text(
            JsonTree.object(
                "object",
                "list",
                "data",
                data,
                "model",
                request.get("model"),
                "usage",
                JsonTree.object("prompt_tokens", tokens, "total_tokens", tokens))));
  }

  private void generate(HttpExchange exchange, Map<?, ?> request, String prompt, boolean isChat)
      throws IOException {
    int most = request.get("max_tokens") instanceof Number given ? given.intValue() : MOST_TOKENS;
    int promptTokens = generating.encode(prompt).length;
    LlamaIterator outputs =
        generating
            .generate(
                new InferenceParameters(prompt)
                    .setNPredict(most)
                    .setTemperature(0)
                    .setSeed(1)
                    .setIgnoreEos(true))
            .iterator();
    if (Boolean.TRUE.equals(request.get("stream"))) {
      stream(exchange, request, outputs, promptTokens, isChat);
      return;
    }
    StringBuilder text = new StringBuilder();
    int count = 0;
    while (outputs.hasNext()) {
      String token = outputs.next().text;
      text.append(token);
      count += token.isEmpty() ? 0 : 1; // the last one says only that it is the last
    }
    Map<String, @Nullable Object> choice =
        isChat
            ? JsonTree.object(
                "message", JsonTree.object("role", "assistant", "content", text.toString()))
            : JsonTree.object("text", text.toString());
    send(
        exchange,
        200,
        chunk(
            request,
            isChat ? "chat.completion" : "text_completion",
            choice,
            "length",
            usage(promptTokens, count)));
  }

  private static void stream(
      HttpExchange exchange,
      Map<?, ?> request,
      LlamaIterator outputs,
      int promptTokens,
      boolean isChat)
      throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
    exchange.sendResponseHeaders(200, 0);
    String kind = isChat ? "chat.completion.chunk" : "text_completion";
    int count = 0;
    try {
      OutputStream out = exchange.getResponseBody();
      while (outputs.hasNext()) {
        LlamaOutput output = outputs.next();
        count += output.text.isEmpty() ? 0 : 1;
        Map<String, @Nullable Object> choice =
            isChat
                ? JsonTree.object("delta", JsonTree.object("content", output.text))
                : JsonTree.object("text", output.text);
        event(out, chunk(request, kind, choice, outputs.hasNext() ? null : "length", null));
      }
      if (request.get("stream_options") instanceof Map<?, ?> options
          && Boolean.TRUE.equals(options.get("include_usage"))) {
        event(out, chunk(request, kind, null, null, usage(promptTokens, count)));
      }
      event(out, "[DONE]");
    } catch (IOException gone) {
      outputs.cancel();
      System.out.println("cancelled");
    }
  }

  private static void event(OutputStream out, String data) throws IOException {
    out.write(("data: " + data + "\n\n").getBytes(UTF_8));
    out.flush();
  }

  private static Map<String, @Nullable Object> usage(int prompt, int answer) {
    return JsonTree.object(
        "prompt_tokens", prompt, "completion_tokens", answer, "total_tokens", prompt + answer);
  }

  private static String chunk(
      Map<?, ?> request,
      String kind,
      @Nullable Map<String, @Nullable Object> choice,
      @Nullable String finish,
      @Nullable Map<String, @Nullable Object> usage) {
    List<Object> choices = new ArrayList<>();
    if (choice != null) {
      choice.put("index", 0);
      choice.put("finish_reason", finish);
      choices.add(choice);
    }
    Map<String, @Nullable Object> answer =
        JsonTree.object(
            "id",
            "tiny-1",
            "object",
            kind,
            "created",
            1,
            "model",
            request.get("model"),
            "choices",
            choices);
    if (usage != null) {
      answer.put("usage", usage);
    }
    return JsonTree.text(answer);
  }
}
