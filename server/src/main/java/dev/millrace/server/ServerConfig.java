package dev.millrace.server;

import static java.util.Objects.requireNonNull;

import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.grpc.GrpcConfig;
import dev.millrace.server.http.HttpConfig;
import dev.millrace.server.transport.TransportConfig;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * What a {@link MillraceServer} is made from.
 *
 * @param name what the server calls itself in its metadata
 * @param runtime the models and how they are served
 * @param transport where to listen
 * @param http limits and times of the HTTP front end
 * @param grpc limits and times of the gRPC front end
 * @param ioThreads threads that read from and write to connections
 * @param drainDelay how long to serve on, not ready, before a stop
 * @param gracePeriod how long accepted requests may take to finish after that
 * @param logger how inferences are logged; empty not to
 */
public record ServerConfig(
    String name,
    RuntimeConfig runtime,
    TransportConfig transport,
    HttpConfig http,
    GrpcConfig grpc,
    int ioThreads,
    Duration drainDelay,
    Duration gracePeriod,
    Optional<LoggerConfig> logger) {
  public ServerConfig {
    requireNonNull(name, "name is null");
    requireNonNull(runtime, "runtime is null");
    requireNonNull(transport, "transport is null");
    requireNonNull(http, "http is null");
    requireNonNull(grpc, "grpc is null");
    if (ioThreads < 1) {
      throw new IllegalArgumentException("ioThreads must be positive: " + ioThreads);
    }
    if (drainDelay.isNegative() || gracePeriod.isNegative()) {
      throw new IllegalArgumentException(
          "drainDelay and gracePeriod must not be negative: " + drainDelay + ", " + gracePeriod);
    }
  }

  /** Everything by default: ports 8080 and 8081, no delay before a stop. */
  public static ServerConfig of(RuntimeConfig runtime) {
    return new ServerConfig(
        ServerSettings.SERVER_NAME.requiredFallback(),
        runtime,
        TransportConfig.of(
            ServerSettings.HTTP_PORT.requiredFallback(),
            ServerSettings.GRPC_PORT.requiredFallback()),
        HttpConfig.defaults(),
        GrpcConfig.defaults(),
        runtime.processors(),
        Duration.ZERO,
        ServerSettings.GRACE_PERIOD.requiredFallback(),
        Optional.empty());
  }

  /** One place to serve from, everything else by default. */
  public static ServerConfig of(Path path) {
    return of(RuntimeConfig.of(path));
  }

  /** This configuration on any free ports of the loopback interface. */
  public ServerConfig onFreePorts() {
    return withTransport(new TransportConfig("localhost", 0, 0, transport.detectionTimeout()));
  }

  /** This configuration with other models. */
  public ServerConfig withRuntime(RuntimeConfig other) {
    return new ServerConfig(
        name, other, transport, http, grpc, ioThreads, drainDelay, gracePeriod, logger);
  }

  /** This configuration that listens elsewhere. */
  public ServerConfig withTransport(TransportConfig other) {
    return new ServerConfig(
        name, runtime, other, http, grpc, ioThreads, drainDelay, gracePeriod, logger);
  }

  /** This configuration with another HTTP front end. */
  public ServerConfig withHttp(HttpConfig other) {
    return new ServerConfig(
        name, runtime, transport, other, grpc, ioThreads, drainDelay, gracePeriod, logger);
  }

  /** This configuration with another gRPC front end. */
  public ServerConfig withGrpc(GrpcConfig other) {
    return new ServerConfig(
        name, runtime, transport, http, other, ioThreads, drainDelay, gracePeriod, logger);
  }

  /** This configuration with a log of inferences. */
  public ServerConfig withLogger(LoggerConfig other) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        grpc,
        ioThreads,
        drainDelay,
        gracePeriod,
        Optional.of(other));
  }

  /** This configuration with other times to stop in. */
  public ServerConfig withStopTimes(Duration delay, Duration grace) {
    return new ServerConfig(name, runtime, transport, http, grpc, ioThreads, delay, grace, logger);
  }
}
