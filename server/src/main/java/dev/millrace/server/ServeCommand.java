package dev.millrace.server;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.transport.TransportConfig;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Serves models until it is told to stop. */
final class ServeCommand {
  private static final Logger log = LoggerFactory.getLogger(ServeCommand.class);
  private static final int PROGRESS_SECONDS = 5;

  private final ServerConfig config;
  private final Plugins plugins;
  private final StopSignal stop;

  ServeCommand(ServerConfig config, Plugins plugins, StopSignal stop) {
    this.config = config;
    this.plugins = plugins;
    this.stop = stop;
  }

  /**
   * Starts, serves, and stops in order. Blocks until then; the process is expected to end next.
   *
   * @throws StartException if a port cannot be had, or no model loads
   */
  void run() throws StartException {
    MillraceServer server;
    try {
      server = MillraceServer.bind(config, plugins);
    } catch (IOException e) {
      throw new StartException(String.valueOf(e.getMessage()), e);
    } catch (InferenceException e) { // of the inference log
      if (e.code() == ErrorCode.INVALID_ARGUMENT) {
        throw e;
      }
      throw new StartException(e.getMessage(), e);
    }
    try {
      log.info("Listening on {}", addresses(server));
      if (!load(server)) {
        // Nothing was served, so nothing has to be finished; and a load cannot be interrupted, so
        // the
        // end of the process, which follows, has to do.
        return;
      }
      stop(server, stop.received().join());
    } catch (StartException e) {
      server.close();
      throw e;
    }
  }

  /** Loads the models; false if a signal came first. */
  private boolean load(MillraceServer server) throws StartException {
    LoadProgress progress = new LoadProgress();
    CompletableFuture<Void> loaded = new CompletableFuture<>();
    Thread.ofPlatform()
        .name("millrace-start")
        .daemon()
        .start(() -> {
          try {
            server.load(progress);
            loaded.complete(null);
          } catch (RuntimeException | Error e) {
            loaded.completeExceptionally(e);
          }
        });
    CompletableFuture<Object> either = CompletableFuture.anyOf(loaded, stop.received());
    try {
      while (true) {
        try {
          either.get(PROGRESS_SECONDS, TimeUnit.SECONDS);
          break;
        } catch (TimeoutException e) {
          progress.tell();
        }
      }
    } catch (ExecutionException e) {
      InferenceException failure = InferenceException.of(e);
      throw new StartException(failure.getMessage(), failure);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
    if (!loaded.isDone()) {
      log.info("SIG{} while loading: stopping", stop.received().join());
      return false;
    }
    report(server, progress);
    return true;
  }

  private void report(MillraceServer server, LoadProgress progress) throws StartException {
    if (progress.loaded() == 0) {
      throw new StartException(progress.failureLine(), null);
    }
    // The process may be older: the launcher builds in it first, where nothing is built yet.
    Instant start = Instant.ofEpochMilli(ManagementFactory.getRuntimeMXBean().getStartTime());
    String since =
        LoadProgress.seconds(Duration.between(start, Instant.now())) + " after the start";
    if (progress.failures().isEmpty()) {
      log.info("Ready, {}: {}", since, addresses(server));
    } else {
      log.warn(
          "Not ready, as {} could not be loaded; serving the others, {}: {}",
          String.join(", ", new TreeSet<>(progress.failures().keySet())),
          since,
          addresses(server));
    }
  }

  private void stop(MillraceServer server, String signal) {
    log.info("SIG{}: stopping", signal);
    long start = System.nanoTime();
    try {
      boolean finished = server.shutDown();
      Duration elapsed = Duration.ofNanos(System.nanoTime() - start);
      if (finished) {
        log.info("Stopped after {}", LoadProgress.seconds(elapsed));
      } else {
        log.warn(
            "Stopped after {} with requests unanswered: grace-period is {}",
            LoadProgress.seconds(elapsed),
            LoadProgress.seconds(config.gracePeriod()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Where to find the server, for people. */
  private String addresses(MillraceServer server) {
    String host = config.transport().host();
    String shown = host.isEmpty() || isWildcard(host) ? "localhost" : host;
    if (shown.contains(":")) {
      shown = "[" + shown + "]";
    }
    String both = "http://%s:%d (HTTP and gRPC)".formatted(shown, server.port());
    return config.transport().grpcPort() == TransportConfig.NONE
            || server.grpcPort() == server.port()
        ? both
        : both + ", %s:%d (gRPC)".formatted(shown, server.grpcPort());
  }

  private static boolean isWildcard(String host) {
    try {
      return InetAddress.getByName(host).isAnyLocalAddress();
    } catch (IOException e) {
      return false;
    }
  }
}
