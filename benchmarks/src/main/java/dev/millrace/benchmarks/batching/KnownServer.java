package dev.millrace.benchmarks.batching;

import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.known.KnownBackend;
import dev.millrace.benchmarks.known.KnownModel;
import dev.millrace.benchmarks.known.LatencyCurve;
import dev.millrace.benchmarks.load.LoadRequest;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A server in this process, on a free port, with models of known speed on one serial device; one
 * instance of each. What clients see of it goes over sockets.
 */
final class KnownServer implements AutoCloseable {
  private final Path repository;
  private final KnownBackend backend = new KnownBackend();
  private final MillraceServer server;
  private final ServerView view;

  /** A model to serve; {@code options} are lines of its {@code model.yaml}. */
  record Model(String name, LatencyCurve curve, String options) {
    Model(String name, LatencyCurve curve) {
      this(name, curve, "");
    }
  }

  private KnownServer(List<Model> models) throws IOException {
    repository = Files.createTempDirectory("known");
    for (Model model : models) {
      KnownBackend.write(repository, model.name(), model.curve(), model.options());
    }
    RuntimeConfig runtime = RuntimeConfig.of(repository).withProcessors(1);
    server =
        MillraceServer.start(
            ServerConfig.of(runtime)
                .onFreePorts()
                .withStopTimes(Duration.ZERO, Duration.ofSeconds(5)),
            List.of(backend));
    view = new ServerView(server.port());
  }

  static KnownServer start(Model... models) throws IOException {
    return new KnownServer(List.of(models));
  }

  KnownModel model(String name) {
    return backend.model(name);
  }

  ServerView view() {
    return view;
  }

  /** A request of one row that begins with {@code first}. */
  LoadRequest request(String model, float first, Duration timeout) {
    try (TensorMap row = KnownModel.row(first)) {
      return LoadRequest.of(server.port(), model, row, timeout);
    }
  }

  LoadRequest request(String model) {
    return request(model, 1, Duration.ZERO);
  }

  @Override
  public void close() throws IOException {
    view.close();
    server.close();
    try (Stream<Path> files = Files.walk(repository)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
