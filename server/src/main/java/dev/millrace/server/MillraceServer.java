package dev.millrace.server;

import dev.millrace.api.Settings;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.Loggers;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.admin.BatchingRoutes;
import dev.millrace.server.admin.LoggerRoutes;
import dev.millrace.server.cloud.CloudRoutes;
import dev.millrace.server.grpc.GrpcServer;
import dev.millrace.server.http.HttpFrontEnd;
import dev.millrace.server.http.ServerRoutes;
import dev.millrace.server.llm.LlmRoutes;
import dev.millrace.server.memory.SharedMemory;
import dev.millrace.server.tracing.Tracing;
import dev.millrace.server.transport.EventLoops;
import dev.millrace.server.transport.Transport;
import dev.millrace.server.triton.GenerateRoutes;
import dev.millrace.server.triton.MemoryRoutes;
import dev.millrace.server.triton.SettingsRoutes;
import dev.millrace.server.triton.TritonRoutes;
import dev.millrace.server.v1.ModelService;
import dev.millrace.server.v1.PredictionService;
import dev.millrace.server.v1.V1Routes;
import dev.millrace.server.v2.V2Routes;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.opentelemetry.api.trace.Tracer;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A model server with its front ends: what {@code millrace serve} runs, and what a Java program or
 * a test embeds.
 *
 * <pre>{@code
 * ServerConfig config = ServerConfig.of(Path.of("model.onnx")).onFreePorts();
 * try (MillraceServer server = MillraceServer.start(config, Plugins.onClassPath())) {
 *   URI uri = URI.create("http://localhost:" + server.port() + "/v2");
 * }
 * }</pre>
 *
 * <p>Thread-safe. Handles no signals: that is up to the program.
 */
public final class MillraceServer implements AutoCloseable {
  /**
   * How long connections on which nothing is in flight stay open at a {@link #shutDown}, so that a
   * request that is under way to us is answered, with {@code Connection: close}, and not lost.
   */
  private static final Duration LINGER = Duration.ofMillis(500);

  /** What is left for the last spans to be sent, if the requests took all the time. */
  private static final Duration LEAST_FLUSH = Duration.ofSeconds(1);

  private final ServerConfig config;
  private final PrometheusMeterRegistry meters;
  private final ProcessMetrics processMetrics;
  private final ModelServer models;
  private final ExecutorService workers;
  private final SharedMemory memory;
  private final EventLoops loops;
  private final Optional<Tracing> tracing;
  private final HttpFrontEnd http;
  private final Transport transport;
  private final AtomicBoolean closed = new AtomicBoolean();

  private MillraceServer(ServerConfig config, Plugins plugins) throws IOException {
    this.config = config;
    this.meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    this.processMetrics = ProcessMetrics.bind(meters);
    this.tracing = Tracing.start(config.tracing(), config.name(), Version.text(), meters);
    Optional<Tracer> tracer = tracing.map(Tracing::tracer);
    this.models =
        ModelServer.create(
            config.runtime(),
            plugins,
            List.of(),
            loggers(config, plugins),
            meters,
            Ticker.system(),
            EventLoops.frontEnd());
    this.workers = workers(config.runtime().processors());
    this.memory =
        config.sharedMemory() ? SharedMemory.in(SharedMemory.OBJECTS) : SharedMemory.off();
    this.loops = EventLoops.start(config.ioThreads());
    try {
      LlmRoutes llm = new LlmRoutes(models, loops, config.llm());
      V1Routes v1 = new V1Routes(models, llm::names, config.v1());
      V2Routes v2 = new V2Routes(models, config.name(), Version.text(), memory);
      this.http =
          new HttpFrontEnd(
              config.http(),
              List.of(
                  new ServerRoutes(meters),
                  v1,
                  v2,
                  llm,
                  new TritonRoutes(models.models()),
                  new GenerateRoutes(models, v2),
                  new SettingsRoutes(models.models()),
                  new MemoryRoutes(memory),
                  new BatchingRoutes(models.models()),
                  new LoggerRoutes(models),
                  new CloudRoutes(models, v1, v2, config.cloud())),
              meters,
              tracer,
              workers,
              models::isPressed);
      GrpcServer grpc =
          GrpcServer.start(
              models,
              config.name(),
              Version.text(),
              Ticker.system(),
              config.grpc(),
              loops,
              memory,
              tracer,
              List.of(
                  new PredictionService(models, Ticker.system()),
                  new ModelService(models.models())));
      this.transport = bind(grpc);
    } catch (IOException | RuntimeException e) {
      closeParts(System.nanoTime());
      throw e;
    }
  }

  /** The logger, which the models' server closes; none if none is configured. */
  private List<InferenceLogger> loggers(ServerConfig config, Plugins plugins) {
    return config
        .logger()
        .map(logger ->
            List.of(
                Loggers.start(
                    plugins.loggers(),
                    logger.provider(),
                    Settings.of("inference log", logger.settings()),
                    logger.environment(),
                    meters)))
        .orElse(List.of());
  }

  private Transport bind(GrpcServer grpc) throws IOException {
    try {
      return Transport.bind(loops, config.transport(), http::install, grpc);
    } catch (IOException | RuntimeException e) {
      grpc.shutdownNow();
      throw e;
    }
  }

  private static ExecutorService workers(int threads) {
    return new ThreadPoolExecutor(
        threads,
        threads,
        0,
        TimeUnit.SECONDS,
        new LinkedBlockingQueue<>(),
        Thread.ofPlatform().name("millrace-worker-", 1).daemon().factory());
  }

  /**
   * Makes a server that listens and is live, but has loaded nothing yet: see {@link #load}.
   *
   * @throws IOException if a port cannot be had
   */
  public static MillraceServer bind(ServerConfig config, Plugins plugins) throws IOException {
    return new MillraceServer(config, plugins);
  }

  /** As above, with these engines and nothing else. */
  public static MillraceServer bind(ServerConfig config, List<Backend> backends)
      throws IOException {
    return bind(config, Plugins.of(backends));
  }

  /**
   * Makes a server that listens, and loads its models. A model that cannot be loaded does not stop
   * the others: see {@link dev.millrace.runtime.ModelRegistry#index}.
   *
   * @throws IOException if a port cannot be had
   * @throws dev.millrace.api.InferenceException if a place does not exist or holds no model
   */
  public static MillraceServer start(ServerConfig config, Plugins plugins) throws IOException {
    MillraceServer server = bind(config, plugins);
    try {
      server.load(LoadListener.NONE);
      return server;
    } catch (RuntimeException e) {
      server.close();
      throw e;
    }
  }

  /** As above, with these engines and nothing else. */
  public static MillraceServer start(ServerConfig config, List<Backend> backends)
      throws IOException {
    return start(config, Plugins.of(backends));
  }

  /**
   * Loads the configured models; blocks until each is ready or has failed. Called once.
   *
   * @throws dev.millrace.api.InferenceException if a place does not exist or holds no model
   */
  public void load(LoadListener progress) {
    models.models().loadAll(progress);
  }

  /** The models and their server, without a network. */
  public ModelServer models() {
    return models;
  }

  /** Where all measurements are. */
  public PrometheusMeterRegistry meters() {
    return meters;
  }

  /** The port for HTTP/1.1 and gRPC. */
  public int port() {
    return transport.port();
  }

  /** The port for gRPC: the one of its own if there is one, else the shared one. */
  public int grpcPort() {
    return transport.grpcPort();
  }

  /**
   * Stops so that clients behind a load balancer notice nothing: is not ready but serves for the
   * configured delay; then accepts no connections, has clients take their next requests elsewhere,
   * and finishes what is accepted within the grace period; at last unloads the models. Blocks.
   *
   * @return whether everything accepted was answered in time
   */
  public boolean shutDown() throws InterruptedException {
    if (closed.get()) {
      return true;
    }
    models.startDraining();
    TimeUnit.NANOSECONDS.sleep(config.drainDelay().toNanos());
    http.startDraining();
    transport.stopAccepting();
    long lingerEnd = System.nanoTime() + min(LINGER, config.gracePeriod()).toNanos();
    while (http.connections() > 0 && System.nanoTime() - lingerEnd < 0) {
      TimeUnit.MILLISECONDS.sleep(10);
    }
    return stop();
  }

  private static Duration min(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  /** Stops without a delay, but finishes what is accepted within the grace period. Blocks. */
  @Override
  public void close() {
    stop();
  }

  private boolean stop() {
    if (!closed.compareAndSet(false, true)) {
      return true;
    }
    long end = System.nanoTime() + config.gracePeriod().toNanos();
    models.startDraining();
    CompletableFuture<Void> answered = http.shutdown();
    boolean finished = transport.close(config.gracePeriod()) && answered.isDone();
    closeParts(end);
    return finished;
  }

  /**
   * Closes everything that is not a front end.
   *
   * @param end when it has to be done, by {@link System#nanoTime}
   */
  private void closeParts(long end) {
    models.close();
    long left = Math.max(LEAST_FLUSH.toNanos(), end - System.nanoTime());
    tracing.ifPresent(each -> each.close(Duration.ofNanos(left)));
    workers.shutdown();
    memory.close();
    loops.close();
    processMetrics.close();
    meters.close();
  }
}
