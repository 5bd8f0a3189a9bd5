package dev.millrace.server.grpc;

import dev.millrace.api.Ticker;
import dev.millrace.runtime.ModelServer;
import dev.millrace.server.memory.SharedMemory;
import dev.millrace.server.transport.EventLoops;
import dev.millrace.server.transport.Http2Server;
import io.grpc.BindableService;
import io.grpc.Server;
import io.grpc.ServerInterceptors;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.ProtoReflectionService;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.netty.channel.Channel;
import io.netty.util.concurrent.ScheduledFuture;
import io.opentelemetry.api.trace.Tracer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Serves gRPC on the connections that it is given. Calls run on the event loops of their
 * connections. Thread-safe; does not own the event loops or the models.
 */
public final class GrpcServer implements Http2Server {
  /** How often clients that watch the health may be told of a change. */
  private static final Duration HEALTH_PERIOD = Duration.ofMillis(200);

  private final AdoptedConnections connections = new AdoptedConnections();
  private final HealthService health;
  private final ScheduledFuture<?> healthTimer;
  private final Server server;

  private GrpcServer(
      ModelServer models,
      String name,
      String version,
      Ticker ticker,
      GrpcConfig config,
      EventLoops loops,
      SharedMemory memory,
      Optional<Tracer> tracer,
      List<BindableService> others) {
    List<BindableService> services = new ArrayList<>(others);
    services.add(new InferenceService(models, name, version, ticker, memory));
    health = new HealthService(names(services), models::isReady);
    services.add(health);
    MessageMemory messages = new MessageMemory();
    NettyServerBuilder builder =
        connections
            .newServerBuilder()
            .directExecutor()
            .intercept(CallHeaders.interceptor())
            .intercept(messages)
            .addStreamTracerFactory(messages)
            .decompressorRegistry(DeflateDecompressor.registry())
            .maxInboundMessageSize(config.maxMessageSize())
            .maxInboundMetadataSize(config.maxMetadataSize())
            .keepAliveTime(config.keepAliveTime().toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(config.keepAliveTimeout().toNanos(), TimeUnit.NANOSECONDS)
            .permitKeepAliveTime(config.permitKeepAliveTime().toNanos(), TimeUnit.NANOSECONDS)
            .permitKeepAliveWithoutCalls(config.permitKeepAliveWithoutCalls())
            .maxConnectionIdle(config.idleTimeout().toNanos(), TimeUnit.NANOSECONDS)
            .maxConcurrentCallsPerConnection(config.maxCallsPerConnection())
            // Far above what cancelling clients do, far below what an attack needs.
            .maxRstFramesPerWindow(10_000, 10);
    tracer.ifPresent(each -> builder.intercept(new CallSpans(each)));
    if (config.reflection()) {
      services.add(ProtoReflectionServiceV1.newInstance());
      services.add(oldReflection());
    }
    StreamErrors streamErrors = new StreamErrors();
    services.forEach(service ->
        builder.addService(
            ServerInterceptors.intercept(
                ReadableRequests.of(service.bindService()), streamErrors)));
    server = builder.build();
    healthTimer =
        loops
            .group()
            .next()
            .scheduleWithFixedDelay(
                health::refresh,
                HEALTH_PERIOD.toNanos(),
                HEALTH_PERIOD.toNanos(),
                TimeUnit.NANOSECONDS);
  }

  /** What clients may ask the health of; the empty name stands for the whole server. */
  private static Set<String> names(List<BindableService> services) {
    Set<String> names = new HashSet<>(Set.of(""));
    services.forEach(service -> names.add(service.bindService().getServiceDescriptor().getName()));
    return names;
  }

  @SuppressWarnings("deprecation") // older clients know v1alpha only
  private static BindableService oldReflection() {
    return ProtoReflectionService.newInstance();
  }

  /**
   * Starts to serve.
   *
   * @param name what the server calls itself in its metadata
   * @param version its own version
   * @param ticker the one that {@code models} measures deadlines with
   * @param loops for timers
   * @param memory where clients may have tensors
   * @param tracer makes the spans of calls, if there are to be any
   * @param others services of other protocols beside V2's
   */
  public static GrpcServer start(
      ModelServer models,
      String name,
      String version,
      Ticker ticker,
      GrpcConfig config,
      EventLoops loops,
      SharedMemory memory,
      Optional<Tracer> tracer,
      List<BindableService> others) {
    GrpcServer grpc =
        new GrpcServer(models, name, version, ticker, config, loops, memory, tracer, others);
    try {
      grpc.server.start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return grpc;
  }

  @Override
  public void adopt(Channel connection, Runnable ready) {
    connections.adopt(connection, ready);
  }

  @Override
  public void shutdown() {
    healthTimer.cancel(false);
    health.close();
    server.shutdown();
  }

  @Override
  public boolean awaitTermination(Duration timeout) throws InterruptedException {
    return server.awaitTermination(timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  @Override
  public void shutdownNow() {
    shutdown();
    server.shutdownNow();
    connections.close();
  }
}
