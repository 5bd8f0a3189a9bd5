package dev.millrace.server.triton;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.ResponseStream;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import java.util.concurrent.Flow;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * Sends each response of a model as an event, as soon as it is there. A failure before the first is
 * the answer's status; one after it is the last event. All but what the publisher calls happens on
 * the exchange's event loop.
 */
final class GenerateStream implements Flow.Subscriber<InferenceResponse> {
  /** Responses that are asked for ahead of those that the client has taken. */
  private static final int AHEAD = 16;

  private final HttpExchange exchange;
  private final GenerateAnswer answer;
  private Flow.@Nullable Subscription subscription;
  private @Nullable ResponseStream stream;
  private int owed;
  private boolean over;

  /**
   * An answer.
   *
   * @param answer writes the events
   */
  GenerateStream(HttpExchange exchange, GenerateAnswer answer) {
    this.exchange = exchange;
    this.answer = answer;
  }

  /** Begins to answer with what comes; on any thread. */
  void start(Flow.Publisher<InferenceResponse> responses) {
    onLoop(() -> exchange.onAbort(this::abandon));
    responses.subscribe(this);
  }

  @Override
  public void onSubscribe(Flow.Subscription to) {
    onLoop(() -> {
      subscription = to;
      if (over) {
        to.cancel();
      } else {
        to.request(AHEAD);
      }
    });
  }

  @Override
  public void onNext(InferenceResponse response) {
    try {
      exchange.eventLoop().execute(() -> take(response));
    } catch (RejectedExecutionException stopped) {
      response.close();
    }
  }

  private void take(InferenceResponse response) {
    if (over) {
      response.close();
      return;
    }
    ByteBuf event;
    try (response) {
      event = answer.event(exchange, response);
    } catch (RuntimeException e) {
      abandon();
      end(e);
      return;
    }
    ResponseStream to = opened();
    to.write(event);
    to.flush();
    owed++;
    writable();
  }

  private ResponseStream opened() {
    ResponseStream to = stream;
    if (to == null) {
      exchange.header("Cache-Control", "no-cache").header("X-Accel-Buffering", "no");
      to = exchange.stream(200, GenerateAnswer.EVENTS, this::writable);
      stream = to;
    }
    return to;
  }

  /** The client takes more: so may the model make. */
  private void writable() {
    ResponseStream to = stream;
    Flow.Subscription from = subscription;
    if (to != null && from != null && to.isWritable() && owed > 0) {
      int more = owed;
      owed = 0;
      from.request(more);
    }
  }

  @Override
  public void onError(Throwable failure) {
    onLoop(() -> {
      if (!over) {
        over = true;
        end(failure);
      }
    });
  }

  private void end(Throwable failure) {
    ResponseStream to = stream;
    if (to == null) {
      exchange.fail(failure);
      return;
    }
    ByteBuf event = exchange.newBody(128);
    event.writeCharSequence("data: ", UTF_8);
    String message = InferenceException.of(failure).getMessage();
    JsonWriter.to(event).beginObject().name("error").string(message).endObject().finish();
    event.writeCharSequence("\n\n", UTF_8);
    to.write(event);
    to.finish();
  }

  @Override
  public void onComplete() {
    onLoop(() -> {
      if (!over) {
        over = true;
        opened().finish();
      }
    });
  }

  /** Nobody waits for more. */
  private void abandon() {
    over = true;
    Flow.Subscription from = subscription;
    if (from != null) {
      from.cancel();
    }
  }

  private void onLoop(Runnable task) {
    if (exchange.eventLoop().inEventLoop()) {
      task.run();
      return;
    }
    try {
      exchange.eventLoop().execute(task);
    } catch (RejectedExecutionException stopped) {
      // Nobody waits for it any more.
    }
  }
}
