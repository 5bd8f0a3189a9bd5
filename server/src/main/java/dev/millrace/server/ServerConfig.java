package dev.millrace.server;

import static java.util.Objects.requireNonNull;

import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.cloud.CloudConfig;
import dev.millrace.server.grpc.GrpcConfig;
import dev.millrace.server.http.HttpConfig;
import dev.millrace.server.llm.LlmConfig;
import dev.millrace.server.tracing.TracingConfig;
import dev.millrace.server.transport.TransportConfig;
import dev.millrace.server.v1.V1Config;
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
 * @param sharedMemory whether clients on the same machine may share system memory with the server
 * @param cloud what the cloud asks for that the server runs in
 * @param v1 how KServe's V1 protocol is served
 * @param llm how OpenAI's API is served
 * @param ioThreads threads that read from and write to connections
 * @param drainDelay how long to serve on, not ready, before a stop
 * @param gracePeriod how long accepted requests may take to finish after that
 * @param logger how inferences are logged; empty not to
 * @param tracing how requests are traced
 */
public record ServerConfig(
    String name,
    RuntimeConfig runtime,
    TransportConfig transport,
    HttpConfig http,
    GrpcConfig grpc,
    boolean sharedMemory,
    CloudConfig cloud,
    V1Config v1,
    LlmConfig llm,
    int ioThreads,
    Duration drainDelay,
    Duration gracePeriod,
    Optional<LoggerConfig> logger,
    TracingConfig tracing) {
  public ServerConfig {
    requireNonNull(name, "name is null");
    requireNonNull(runtime, "runtime is null");
    requireNonNull(transport, "transport is null");
    requireNonNull(http, "http is null");
    requireNonNull(grpc, "grpc is null");
    requireNonNull(cloud, "cloud is null");
    requireNonNull(v1, "v1 is null");
    requireNonNull(llm, "llm is null");
    requireNonNull(tracing, "tracing is null");
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
        ServerSettings.SYSTEM_SHARED_MEMORY.requiredFallback(),
        CloudConfig.none(),
        V1Config.defaults(),
        LlmConfig.defaults(),
        runtime.processors(),
        Duration.ZERO,
        ServerSettings.GRACE_PERIOD.requiredFallback(),
        Optional.empty(),
        TracingConfig.none());
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
        name,
        other,
        transport,
        http,
        grpc,
        sharedMemory,
        cloud,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        tracing);
  }

  /** This configuration that listens elsewhere. */
  public ServerConfig withTransport(TransportConfig other) {
    return new ServerConfig(
        name,
        runtime,
        other,
        http,
        grpc,
        sharedMemory,
        cloud,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        tracing);
  }

  /** This configuration with another HTTP front end. */
  public ServerConfig withHttp(HttpConfig other) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        other,
        grpc,
        sharedMemory,
        cloud,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        tracing);
  }

  /** This configuration with another gRPC front end. */
  public ServerConfig withGrpc(GrpcConfig other) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        other,
        sharedMemory,
        cloud,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        tracing);
  }

  /** This configuration with shared memory on or off. */
  public ServerConfig withSharedMemory(boolean on) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        grpc,
        on,
        cloud,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        tracing);
  }

  /** This configuration for another cloud. */
  public ServerConfig withCloud(CloudConfig other) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        grpc,
        sharedMemory,
        other,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        tracing);
  }

  /** This configuration with OpenAI's API served in another way. */
  public ServerConfig withLlm(LlmConfig other) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        grpc,
        sharedMemory,
        cloud,
        v1,
        other,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        tracing);
  }

  /** This configuration with a log of inferences. */
  public ServerConfig withLogger(LoggerConfig other) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        grpc,
        sharedMemory,
        cloud,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        Optional.of(other),
        tracing);
  }

  /** This configuration with requests traced in another way. */
  public ServerConfig withTracing(TracingConfig other) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        grpc,
        sharedMemory,
        cloud,
        v1,
        llm,
        ioThreads,
        drainDelay,
        gracePeriod,
        logger,
        other);
  }

  /** This configuration with other times to stop in. */
  public ServerConfig withStopTimes(Duration delay, Duration grace) {
    return new ServerConfig(
        name,
        runtime,
        transport,
        http,
        grpc,
        sharedMemory,
        cloud,
        v1,
        llm,
        ioThreads,
        delay,
        grace,
        logger,
        tracing);
  }
}
