package dev.millrace.server.grpc;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.inference.ModelStreamInferResponse;
import dev.millrace.server.transport.EventLoops;
import dev.millrace.server.v2.OutputFinisher;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One stream of inferences. Requests are run as they come, many at a time, and answered in their
 * order; one that fails is answered with the reason, and the stream goes on.
 *
 * <p>A client that does not take its answers is not read from: {@value #MOST_REQUESTS} requests and
 * {@value #MOST_BYTES} bytes are held for one stream, and one request beyond that. Everything but
 * the completion of an inference happens on the connection's event loop.
 */
final class InferenceStream implements StreamObserver<ModelInferRequest> {
  /** As many as a batch usually takes, so that one stream can fill it. */
  private static final int MOST_REQUESTS = 64;

  private static final long MOST_BYTES = 16 << 20;

  /** On every response: whether the request has no more of them. A model here gives one. */
  private static final String FINAL = "triton_final_response";

  /**
   * An inference that runs.
   *
   * @param bytes of its inputs
   */
  record Started(
      CompletableFuture<InferenceResponse> future, OutputFinisher finisher, long bytes) {}

  /** A request that is not answered. */
  private static final class Waiting {
    private final String id;
    private final boolean typed;
    private @Nullable Started started;
    private @Nullable InferenceResponse response;
    private @Nullable InferenceException failure;

    /** What it holds in memory. */
    private long bytes;

    Waiting(String id, boolean typed) {
      this.id = id;
      this.typed = typed;
    }

    boolean isDone() {
      return response != null || failure != null;
    }
  }

  private final ServerCallStreamObserver<ModelStreamInferResponse> call;
  private final Function<ModelInferRequest, Started> starter;
  private final Executor eventLoop = EventLoops.current();
  private final boolean endOnFailure = StreamErrors.endStream();
  private final ArrayDeque<Waiting> waiting = new ArrayDeque<>();
  private long waitingBytes;

  /** Whether a request was asked for that has not come. */
  private boolean isAsked;

  private boolean isHalfClosed;
  private boolean isClosed;

  /**
   * A stream.
   *
   * @param starter starts an inference, or throws the reason why it cannot be
   */
  InferenceStream(
      ServerCallStreamObserver<ModelStreamInferResponse> call,
      Function<ModelInferRequest, Started> starter) {
    this.call = call;
    this.starter = starter;
  }

  /** Begins to take requests. */
  InferenceStream start() {
    call.disableAutoRequest();
    call.setOnReadyHandler(this::answer);
    call.setOnCancelHandler(this::abandon);
    ask();
    return this;
  }

  /** Asks for the next request, if there is room for it. */
  private void ask() {
    if (!isAsked
        && !isClosed
        && !isHalfClosed
        && waiting.size() < MOST_REQUESTS
        && waitingBytes < MOST_BYTES) {
      isAsked = true;
      call.request(1);
    }
  }

  @Override
  public void onNext(ModelInferRequest request) {
    isAsked = false;
    if (isClosed) {
      return;
    }
    Waiting next = new Waiting(request.getId(), request.getRawInputContentsCount() == 0);
    waiting.add(next);
    try {
      Started started = starter.apply(request);
      next.started = started;
      hold(next, started.bytes());
      var _ =
          started.future().whenComplete((response, failure) -> completed(next, response, failure));
    } catch (RuntimeException e) {
      next.failure = GrpcErrors.reason(e);
      answer();
    }
    ask();
  }

  private void hold(Waiting entry, long bytes) {
    waitingBytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  /** An inference has ended; on any thread. */
  private void completed(
      Waiting entry, @Nullable InferenceResponse response, @Nullable Throwable failure) {
    try {
      eventLoop.execute(() -> settle(entry, response, failure));
    } catch (RejectedExecutionException stopped) {
      if (response != null) {
        response.close();
      }
    }
  }

  private void settle(
      Waiting entry, @Nullable InferenceResponse response, @Nullable Throwable failure) {
    if (isClosed) {
      if (response != null) {
        response.close();
      }
      return;
    }
    if (response == null) {
      entry.failure =
          GrpcErrors.reason(failure == null ? new IllegalStateException("no answer") : failure);
      hold(entry, 0);
    } else {
      entry.response = response;
      hold(entry, response.outputs().byteSize());
    }
    answer();
  }

  /** Sends what is there and has its turn, as long as the client takes it. */
  private void answer() {
    while (!isClosed && !waiting.isEmpty() && waiting.getFirst().isDone() && call.isReady()) {
      Waiting first = waiting.removeFirst();
      hold(first, 0);
      send(first);
    }
    if (isHalfClosed && waiting.isEmpty() && !isClosed) {
      isClosed = true;
      call.onCompleted();
    }
    ask();
  }

  private void send(Waiting entry) {
    InferenceException failure = entry.failure;
    InferenceResponse response = entry.response;
    if (failure == null && response != null && entry.started != null) {
      OutputFinisher finisher = entry.started.finisher();
      try {
        response = finisher.finish(response);
        ModelInferResponse message = GrpcResponseWriter.write(response, entry.typed, finisher);
        call.onNext(
            ModelStreamInferResponse.newBuilder()
                .setInferResponse(
                    message.toBuilder().putParameters(FINAL, GrpcParameters.write(true)))
                .build());
        return;
      } catch (RuntimeException e) {
        failure = GrpcErrors.reason(e);
      } finally {
        response.close();
      }
    }
    if (failure != null) {
      fail(entry, failure);
    }
  }

  private void fail(Waiting entry, InferenceException failure) {
    if (endOnFailure) {
      abandon();
      GrpcErrors.end(call, failure);
      return;
    }
    call.onNext(
        ModelStreamInferResponse.newBuilder()
            .setErrorMessage(failure.getMessage())
            .setInferResponse(
                ModelInferResponse.newBuilder()
                    .setId(entry.id)
                    .putParameters(FINAL, GrpcParameters.write(true)))
            .build());
  }

  /** Nobody waits any more. */
  private void abandon() {
    isClosed = true;
    for (Waiting entry : waiting) {
      if (entry.response != null) {
        entry.response.close();
      } else if (entry.started != null) {
        entry.started.future().cancel(false);
      }
    }
    waiting.clear();
    waitingBytes = 0;
  }

  @Override
  public void onError(Throwable cancelled) {
    abandon();
  }

  @Override
  public void onCompleted() {
    isHalfClosed = true;
    answer();
  }
}
