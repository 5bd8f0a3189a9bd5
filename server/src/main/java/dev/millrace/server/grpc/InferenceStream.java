package dev.millrace.server.grpc;

import static java.util.Objects.requireNonNull;

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
import java.util.concurrent.Flow;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One stream of inferences. Requests are run as they come, many at a time, and answered in their
 * order, with one response or, by a model that streams, each that it makes; one that fails is
 * answered with the reason, and the stream goes on.
 *
 * <p>A client that does not take its answers is not read from: {@value #MOST_REQUESTS} requests and
 * {@value #MOST_BYTES} bytes are held for one stream, and one request beyond that. Everything but
 * the completion of an inference happens on the connection's event loop.
 */
final class InferenceStream implements StreamObserver<ModelInferRequest> {
  /** As many as a batch usually takes, so that one stream can fill it. */
  private static final int MOST_REQUESTS = 64;

  private static final long MOST_BYTES = 16 << 20;

  /** On every response: whether the request has no more of them. */
  private static final String FINAL = "triton_final_response";

  /** Of a request: whether one that has no more responses is to be followed by an empty one. */
  private static final String EMPTY_FINAL = "triton_enable_empty_final_response";

  /** Responses of one request that are asked for ahead of those that the client has taken. */
  private static final int AHEAD = 8;

  /**
   * An inference that runs, and has one response or several.
   *
   * @param bytes of its inputs
   */
  record Started(
      @Nullable CompletableFuture<InferenceResponse> single,
      Flow.@Nullable Publisher<InferenceResponse> several,
      OutputFinisher finisher,
      long bytes) {
    static Started single(
        CompletableFuture<InferenceResponse> response, OutputFinisher finisher, long bytes) {
      return new Started(response, null, finisher, bytes);
    }

    static Started streamed(
        Flow.Publisher<InferenceResponse> responses, OutputFinisher finisher, long bytes) {
      return new Started(null, responses, finisher, bytes);
    }
  }

  /** A request that is not answered to its end. */
  private final class Waiting implements Flow.Subscriber<InferenceResponse> {
    private final String id;
    private final boolean typed;
    private final boolean emptyFinal;
    private final ArrayDeque<InferenceResponse> responses = new ArrayDeque<>(1);
    private @Nullable Started started;
    private Flow.@Nullable Subscription subscription;

    /** Whether nothing comes after the responses that are here, but the failure if there is one. */
    private boolean isOver;

    private @Nullable InferenceException failure;

    /** What it holds in memory. */
    private long bytes;

    Waiting(ModelInferRequest request) {
      this.id = request.getId();
      this.typed = request.getRawInputContentsCount() == 0;
      this.emptyFinal =
          request.getParametersOrDefault(EMPTY_FINAL, GrpcParameters.write(false)).getBoolParam();
    }

    void start(Started inference) {
      started = inference;
      hold(this, inference.bytes());
      CompletableFuture<InferenceResponse> single = inference.single();
      Flow.Publisher<InferenceResponse> several = inference.several();
      if (single != null) {
        var _ = single.whenComplete(this::completed);
      } else if (several != null) {
        several.subscribe(this);
      }
    }

    boolean isStreamed() {
      return started != null && started.several() != null;
    }

    boolean hasSomethingToSay() {
      return isOver || !responses.isEmpty();
    }

    private void completed(@Nullable InferenceResponse response, @Nullable Throwable thrown) {
      later(
          response,
          () -> {
            if (response != null) {
              take(response);
            }
            end(
                response == null && thrown == null
                    ? new IllegalStateException("no answer")
                    : thrown);
          });
    }

    @Override
    public void onSubscribe(Flow.Subscription to) {
      later(
          null,
          () -> {
            subscription = to;
            if (isClosed) {
              to.cancel();
            } else {
              to.request(AHEAD);
            }
          });
    }

    @Override
    public void onNext(InferenceResponse response) {
      later(
          response,
          () -> {
            take(response);
            answer();
          });
    }

    @Override
    public void onError(Throwable thrown) {
      later(null, () -> end(thrown));
    }

    @Override
    public void onComplete() {
      later(null, () -> end(null));
    }

    private void take(InferenceResponse response) {
      if (isClosed || isOver) {
        response.close();
        return;
      }
      responses.add(response);
      hold(this, held());
    }

    private void end(@Nullable Throwable thrown) {
      if (!isClosed && !isOver) {
        over(thrown);
        answer();
      }
    }

    private void over(@Nullable Throwable thrown) {
      isOver = true;
      failure = thrown == null ? null : GrpcErrors.reason(thrown);
      hold(this, held());
    }

    private long held() {
      return responses.stream().mapToLong(response -> response.outputs().byteSize()).sum();
    }

    /** The client has taken a response: so the model may make another. */
    void taken() {
      if (subscription != null && !isOver) {
        subscription.request(1);
      }
    }

    /** Nobody wants what is here or comes. */
    void abandon() {
      responses.forEach(InferenceResponse::close);
      responses.clear();
      if (subscription != null) {
        subscription.cancel();
      }
      if (started != null && started.single() != null) {
        started.single().cancel(false);
      }
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
    Waiting next = new Waiting(request);
    waiting.add(next);
    try {
      next.start(starter.apply(request));
    } catch (RuntimeException e) {
      next.end(e);
    }
    ask();
  }

  private void hold(Waiting entry, long bytes) {
    waitingBytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  /** Does that on the event loop; frees {@code response} if it is no more. */
  private void later(@Nullable InferenceResponse response, Runnable task) {
    try {
      eventLoop.execute(task);
    } catch (RejectedExecutionException stopped) {
      if (response != null) {
        response.close();
      }
    }
  }

  /** Sends what is there and has its turn, as long as the client takes it. */
  private void answer() {
    while (!isClosed
        && !waiting.isEmpty()
        && waiting.getFirst().hasSomethingToSay()
        && call.isReady()) {
      Waiting first = waiting.getFirst();
      InferenceResponse response = first.responses.poll();
      if (response != null) {
        hold(first, first.held());
        send(first, response);
      }
      if (!isClosed && first.isOver && first.responses.isEmpty()) {
        waiting.removeFirst();
        hold(first, 0);
        end(first);
      }
    }
    if (isHalfClosed && waiting.isEmpty() && !isClosed) {
      isClosed = true;
      call.onCompleted();
    }
    ask();
  }

  private void send(Waiting entry, InferenceResponse made) {
    InferenceResponse response = made;
    try {
      OutputFinisher finisher = requireNonNull(entry.started).finisher();
      response = finisher.finish(response);
      ModelInferResponse message = GrpcResponseWriter.write(response, entry.typed, finisher);
      call.onNext(
          ModelStreamInferResponse.newBuilder()
              .setInferResponse(
                  message.toBuilder()
                      .putParameters(FINAL, GrpcParameters.write(!entry.isStreamed())))
              .build());
      entry.taken();
    } catch (RuntimeException e) {
      entry.abandon();
      entry.over(e);
    } finally {
      response.close();
    }
  }

  /** Says what is left to say of a request whose responses are out. */
  private void end(Waiting entry) {
    if (entry.failure != null) {
      fail(entry, entry.failure);
    } else if (entry.isStreamed() && entry.emptyFinal) {
      call.onNext(ModelStreamInferResponse.newBuilder().setInferResponse(lastOf(entry)).build());
    }
  }

  private static ModelInferResponse.Builder lastOf(Waiting entry) {
    return ModelInferResponse.newBuilder()
        .setId(entry.id)
        .putParameters(FINAL, GrpcParameters.write(true));
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
            .setInferResponse(lastOf(entry))
            .build());
  }

  /** Nobody waits any more. */
  private void abandon() {
    isClosed = true;
    waiting.forEach(Waiting::abandon);
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
