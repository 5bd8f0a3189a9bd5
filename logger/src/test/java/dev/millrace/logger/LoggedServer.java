package dev.millrace.logger;

import dev.millrace.runtime.Plugins;
import dev.millrace.server.LoggerConfig;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import dev.millrace.testing.OnnxModels;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;

/**
 * A server with the model {@code simple} that logs, in this process or in another, and a client.
 */
final class LoggedServer implements AutoCloseable {
  private static final String ONES = String.join(",", Collections.nCopies(16, "1"));
  private static final String BODY =
      "{\"inputs\":[{\"name\":\"INPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[%s]},"
              .formatted(ONES)
          + "{\"name\":\"INPUT1\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[%s]}],"
              .formatted(ONES);

  private final int port;
  private final Runnable end;
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  private LoggedServer(int port, Runnable end) {
    this.port = port;
    this.end = end;
  }

  /** Starts one in this process. */
  static LoggedServer start(Path directory, Map<String, Object> logger) throws IOException {
    Path file = directory.resolve("simple/1/model.onnx");
    Files.createDirectories(file.getParent());
    Files.write(file, OnnxModels.simple());
    MillraceServer server =
        MillraceServer.start(
            ServerConfig.of(directory.resolve("simple"))
                .onFreePorts()
                .withLogger(LoggerConfig.of(logger)),
            Plugins.onClassPath());
    return new LoggedServer(server.port(), server::close);
  }

  /** A client of one in another process. */
  static LoggedServer at(int port, Process process) {
    return new LoggedServer(port, process::destroyForcibly);
  }

  int port() {
    return port;
  }

  /** Asks the model; the status, when all of the answer is there. */
  int infer(String id) throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(uri("/v2/models/simple/infer"))
            .POST(HttpRequest.BodyPublishers.ofString(BODY + "\"id\":\"" + id + "\"}"))
            .build();
    return client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
  }

  /** The sum of the logger's metric over all its labels. */
  long metric(String name) throws IOException, InterruptedException {
    HttpRequest request = HttpRequest.newBuilder(uri("/metrics")).build();
    String metrics = client.send(request, HttpResponse.BodyHandlers.ofString()).body();
    return (long)
        metrics
            .lines()
            .filter(line -> line.matches("millrace_logger_" + name + "[{ ].*"))
            .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
            .sum();
  }

  private URI uri(String path) {
    return URI.create("http://localhost:" + port + path);
  }

  @Override
  public void close() {
    client.close();
    end.run();
  }
}
