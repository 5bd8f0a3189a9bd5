package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.backend.llm.LlmBackend;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import dev.millrace.testing.llm.Dialect;
import dev.millrace.testing.llm.ScriptedEngine;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** A server in front of scripted engines. */
final class LlmFixture implements AutoCloseable {
  static final String CHAT = "/v1/chat/completions";

  private final Path directory;
  private final List<ScriptedEngine> engines = new ArrayList<>();
  private final HttpClient client = HttpClient.newHttpClient();
  private ServerConfig config;
  private MillraceServer server;

  /** A server without models, yet. */
  LlmFixture(Path directory, int engineCount) throws IOException {
    this(directory, engineCount, Dialect.V0_7_1);
  }

  /** The same with engines that are of another version. */
  LlmFixture(Path directory, int engineCount, Dialect dialect) throws IOException {
    this.directory = directory;
    for (int i = 0; i < engineCount; i++) {
      engines.add(ScriptedEngine.builder().dialect(dialect).start());
    }
    config = ServerConfig.of(directory).onFreePorts();
    server = MillraceServer.bind(config, List.of(new LlmBackend()));
  }

  LlmFixture with(LlmConfig llm) throws IOException {
    server.close();
    config = config.withLlm(llm);
    server = MillraceServer.bind(config, List.of(new LlmBackend()));
    return this;
  }

  LlmFixture with(ServerConfig other, Plugins plugins) throws IOException {
    server.close();
    config = other;
    server = MillraceServer.bind(config, plugins);
    return this;
  }

  ServerConfig config() {
    return config;
  }

  /** Adds a model of these upstreams. */
  LlmFixture model(String name, List<ScriptedEngine> upstreams, String... lines)
      throws IOException {
    Path model = Files.createDirectory(directory.resolve(name));
    String addresses =
        upstreams.stream().map(engine -> engine.uri().toString()).collect(Collectors.joining(", "));
    StringBuilder text = new StringBuilder("llm:\n  upstreams: [" + addresses + "]\n");
    for (String line : lines) {
      text.append("  ").append(line).append('\n');
    }
    Files.writeString(model.resolve("model.yaml"), text);
    return this;
  }

  /** The first engines. */
  List<ScriptedEngine> engines(int count) {
    return engines.subList(0, count);
  }

  LlmFixture start() {
    server.load(LoadListener.NONE);
    return this;
  }

  ScriptedEngine engine() {
    return engines.getFirst();
  }

  ScriptedEngine engine(int index) {
    return engines.get(index);
  }

  MillraceServer server() {
    return server;
  }

  HttpClient client() {
    return client;
  }

  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("http://localhost:" + server.port() + path));
  }

  HttpResponse<String> post(String path, String body, String... headers) {
    HttpRequest.Builder request =
        request(path)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body));
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    return send(request.build());
  }

  HttpResponse<String> get(String path) {
    return send(request(path).build());
  }

  HttpResponse<String> send(HttpRequest request) {
    try {
      return client.send(request, BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  static String chat(String content) {
    return "{\"model\":\"scripted\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}"
        .formatted(content);
  }

  static String stream(String content) {
    return "{\"model\":\"scripted\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}"
        .formatted(content);
  }

  /** A connection on which a request has been sent. */
  Socket open(String path, String body) throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port());
    socket.setSoTimeout(20_000);
    String head =
        "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            .formatted(path, body.length());
    socket.getOutputStream().write((head + body).getBytes(UTF_8));
    return socket;
  }

  String scrape() {
    return get("/metrics").body();
  }

  @Override
  public void close() throws IOException {
    client.shutdownNow();
    server.close();
    for (ScriptedEngine engine : engines) {
      engine.close();
    }
  }
}
