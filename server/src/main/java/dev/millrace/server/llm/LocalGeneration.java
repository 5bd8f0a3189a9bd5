package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.GenerationRequest;
import dev.millrace.api.spi.TextGenerator;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.ResponseStream;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.util.AsciiString;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Flow;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/** Answers requests with language models of this process. Thread-safe. */
final class LocalGeneration {
  private static final AsciiString EVENTS = AsciiString.cached("text/event-stream; charset=utf-8");
  private static final byte[] DATA = "data: ".getBytes(US_ASCII);
  private static final byte[] END = "\n\n".getBytes(US_ASCII);
  private static final byte[] DONE = "data: [DONE]\n\n".getBytes(US_ASCII);

  /** Parts that are asked for ahead of those that the client has taken. */
  private static final int AHEAD = 16;

  /**
   * Starts on a request; on the event loop.
   *
   * @param request taken over, unless this throws
   * @param target its lease is taken over, unless this throws
   * @throws RuntimeException if the model cannot do what is asked
   */
  void start(LlmRequest request, Target target, TextGenerator generator) {
    Optional<GenerationRequest.Operation> operation = operation(request.operation());
    if (operation.isEmpty() || !generator.operations().contains(operation.get())) {
      throw LlmRoutes.cannot(target.lease().id().name(), request.operation(), "it has another use");
    }
    Flow.Publisher<TextGenerator.Part> answer =
        generator.generate(
            new GenerationRequest(
                operation.get(),
                // A copy, because whoever reads it may do so while it is being cancelled.
                ByteBuffer.wrap(ByteBufUtil.getBytes(request.body())),
                headers(request.exchange()),
                Deadline.none()));
    Run run = new Run(request, target);
    request.exchange().onAbort(run::clientGone);
    try {
      answer.subscribe(run);
    } catch (RuntimeException e) {
      run.onError(e);
    }
  }

  private static Optional<GenerationRequest.Operation> operation(Operation operation) {
    return switch (operation) {
      case CHAT -> Optional.of(GenerationRequest.Operation.CHAT);
      case COMPLETION -> Optional.of(GenerationRequest.Operation.COMPLETION);
      case EMBEDDINGS -> Optional.of(GenerationRequest.Operation.EMBEDDINGS);
      default -> Optional.empty();
    };
  }

  private static Map<String, String> headers(HttpExchange exchange) {
    Map<String, String> headers = new HashMap<>();
    exchange
        .requestHeaders()
        .forEach((name, value) ->
            headers.merge(name.toLowerCase(Locale.ROOT), value, (a, b) -> a + ", " + b));
    return headers;
  }

  /** One request; but for what the publisher calls, on the event loop. */
  private static final class Run implements Flow.Subscriber<TextGenerator.Part> {
    private final LlmRequest request;
    private final HttpExchange exchange;
    private final Target target;
    private Flow.@Nullable Subscription subscription;
    private @Nullable ResponseStream stream;
    private int owed;
    private boolean answered;
    private boolean over;

    Run(LlmRequest request, Target target) {
      this.request = request;
      this.exchange = request.exchange();
      this.target = target;
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
    public void onNext(TextGenerator.Part part) {
      onLoop(() -> {
        if (!over) {
          take(part);
        }
      });
    }

    private void take(TextGenerator.Part part) {
      ByteBuffer json = part.json();
      if (part.isWhole()) {
        answered = true;
        exchange.header("X-Request-Id", request.id());
        exchange
            .compressible()
            .respond(200, HttpExchange.JSON, exchange.newBody(json.remaining()).writeBytes(json));
        return;
      }
      ResponseStream to = stream;
      if (to == null) {
        exchange.header("X-Request-Id", request.id());
        exchange.header("Cache-Control", "no-cache").header("X-Accel-Buffering", "no");
        to = exchange.stream(200, EVENTS, this::writable);
        stream = to;
      }
      ByteBuf event = exchange.newBody(json.remaining() + DATA.length + END.length);
      to.write(event.writeBytes(DATA).writeBytes(json).writeBytes(END));
      to.flush();
      owed++;
      writable();
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
        if (over) {
          return;
        }
        InferenceException error = InferenceException.of(failure);
        ResponseStream to = stream;
        if (to != null) {
          to.write(
              OpenAiErrors.event(
                  exchange,
                  request.operation(),
                  OpenAiErrors.status(error.code()),
                  error.getMessage()));
          to.write(Unpooled.copiedBuffer(DONE));
          to.finish();
        } else if (!answered) {
          OpenAiErrors.fail(exchange, error);
        }
        settle();
      });
    }

    @Override
    public void onComplete() {
      onLoop(() -> {
        if (over) {
          return;
        }
        ResponseStream to = stream;
        if (to != null) {
          to.write(Unpooled.copiedBuffer(DONE));
          to.finish();
        } else if (!answered) {
          OpenAiErrors.fail(exchange, 500, "the model gave no answer", "");
        }
        settle();
      });
    }

    private void clientGone() {
      if (!over) {
        Flow.Subscription from = subscription;
        if (from != null) {
          from.cancel();
        }
        settle();
      }
    }

    private void settle() {
      over = true;
      request.close();
      target.lease().close();
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
}
