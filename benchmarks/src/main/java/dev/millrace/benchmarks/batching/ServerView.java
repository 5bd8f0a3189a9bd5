package dev.millrace.benchmarks.batching;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** What a running server says of itself. Thread-safe. */
final class ServerView implements AutoCloseable {
  private final HttpClient client = HttpClient.newHttpClient();
  private final int port;

  ServerView(int port) {
    this.port = port;
  }

  /** Whether it serves that model. */
  boolean isReady(String model) {
    return get("/v2/models/" + model + "/ready").statusCode() == 200;
  }

  /** Sum of all lines of a metric that are about that model. */
  double metric(String name, String model) {
    return get("/metrics")
        .body()
        .lines()
        .filter(line -> line.startsWith(name + "{") && line.contains("model=\"" + model + "\""))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  private HttpResponse<String> get(String path) {
    try {
      return client.send(
          HttpRequest.newBuilder(URI.create("http://localhost:" + port + path)).build(),
          HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while asking " + path, e);
    }
  }

  @Override
  public void close() {
    client.close();
  }
}
