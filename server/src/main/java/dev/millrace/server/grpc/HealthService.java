package dev.millrace.server.grpc;

import dev.millrace.api.InferenceException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc.HealthImplBase;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * {@code grpc.health.v1}: every service serves while the server is ready. A check sees the state of
 * that moment, a watch that of the last {@link #refresh}. Unlike the one of grpc-services it ends
 * its watches, so that they do not hold up a shutdown. Thread-safe.
 */
final class HealthService extends HealthImplBase implements AutoCloseable {
  private final Set<String> services;
  private final BooleanSupplier ready;

  // Guarded by this, as is every watch.
  private final List<Watch> watches = new ArrayList<>();
  private boolean closed;

  /**
   * A health service.
   *
   * @param services the names that clients may ask for; an empty one stands for the whole server
   */
  HealthService(Set<String> services, BooleanSupplier ready) {
    this.services = Set.copyOf(services);
    this.ready = ready;
  }

  @Override
  public void check(HealthCheckRequest request, StreamObserver<HealthCheckResponse> call) {
    if (services.contains(request.getService())) {
      call.onNext(response(status()));
      call.onCompleted();
    } else {
      GrpcErrors.fail(call, InferenceException.notFound("unknown service " + request.getService()));
    }
  }

  @Override
  public void watch(HealthCheckRequest request, StreamObserver<HealthCheckResponse> call) {
    Watch watch =
        new Watch(
            (ServerCallStreamObserver<HealthCheckResponse>) call,
            services.contains(request.getService()));
    watch.call.setOnCancelHandler(() -> remove(watch));
    add(watch);
  }

  private synchronized void add(Watch watch) {
    if (closed) {
      watch.end();
      return;
    }
    watches.add(watch);
    watch.tell(status());
  }

  private synchronized void remove(Watch watch) {
    watches.remove(watch);
  }

  /** Tells the watches if the state has changed. */
  synchronized void refresh() {
    if (watches.isEmpty()) {
      return;
    }
    ServingStatus now = status();
    watches.forEach(watch -> watch.tell(now));
  }

  private ServingStatus status() {
    return ready.getAsBoolean() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  /** Ends all watches, and refuses new ones. */
  @Override
  public synchronized void close() {
    closed = true;
    watches.forEach(Watch::end);
    watches.clear();
  }

  private static HealthCheckResponse response(ServingStatus status) {
    return HealthCheckResponse.newBuilder().setStatus(status).build();
  }

  /** One client that wants to know of every change. */
  private static final class Watch {
    final ServerCallStreamObserver<HealthCheckResponse> call;
    private final boolean known;
    private ServingStatus told = ServingStatus.UNKNOWN;

    Watch(ServerCallStreamObserver<HealthCheckResponse> call, boolean known) {
      this.call = call;
      this.known = known;
    }

    void tell(ServingStatus now) {
      ServingStatus status = known ? now : ServingStatus.SERVICE_UNKNOWN;
      if (status != told && !call.isCancelled()) {
        told = status;
        call.onNext(response(status));
      }
    }

    void end() {
      if (!call.isCancelled()) {
        tell(ServingStatus.NOT_SERVING);
        GrpcErrors.fail(call, InferenceException.unavailable("the server is stopping"));
      }
    }
  }
}
