package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.runtime.ModelLease;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Tells the inference loggers of requests to language models: one record with the request's body,
 * and one with the answer, which for a stream is put together: its text, why it ended and its
 * usage. Thread-safe.
 */
final class GenerationLog {
  /** Most characters of a stream's text, and bytes of an answer, that are logged. */
  private static final int MOST = 1 << 20;

  private static final Shape ONE = Shape.of(1);

  /** Most characters of a stream's text to be put together; 0 if nobody wants it. */
  int mostText(ModelLease lease) {
    return lease.isLogged() ? MOST : 0;
  }

  /**
   * A request begins.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if it must not, because it could not be logged
   */
  void begin(ModelLease lease, LlmRequest request) {
    if (isLogged(lease, request)) {
      lease.logInputs(
          request.id(), parameters(request), () -> tensor("request", bytes(request.body())));
    }
  }

  /** An answer that is no stream; it stays the caller's. */
  void answered(ModelLease lease, LlmRequest request, ByteBuf answer) {
    if (isLogged(lease, request)) {
      lease.logPredictions(
          request.id(), parameters(request), () -> tensor("response", bytes(answer)), null);
    }
  }

  /**
   * A request has ended. Tells of it unless {@link #answered} did.
   *
   * @param seen what was seen of the answer
   */
  void ended(ModelLease lease, LlmRequest request, @Nullable StreamObserver seen, int status) {
    if (!isLogged(lease, request)) {
      return;
    }
    byte[] text = seen != null && seen.events() > 0 ? summary(seen) : null;
    if (status >= 400) {
      lease.logPredictions(
          request.id(),
          parameters(request),
          () -> text == null ? TensorMap.empty() : tensor("response", text),
          new InferenceException(
              status == 499 ? ErrorCode.CANCELLED : ErrorCode.UNAVAILABLE,
              "ended with status " + status));
    } else if (text != null) {
      lease.logPredictions(request.id(), parameters(request), () -> tensor("response", text), null);
    }
  }

  private static boolean isLogged(ModelLease lease, LlmRequest request) {
    return lease.isLogged() && !request.operation().isOfResponse();
  }

  private static byte[] bytes(ByteBuf from) {
    return ByteBufUtil.getBytes(from, from.readerIndex(), Math.min(MOST, from.readableBytes()));
  }

  private static TensorMap tensor(String name, byte[] bytes) {
    return TensorMap.of(name, Tensor.copyOf(ONE, List.of(bytes)));
  }

  /** What a stream brought, as one JSON object. */
  private static byte[] summary(StreamObserver seen) {
    ByteBuf out = Unpooled.buffer();
    JsonWriter json = JsonWriter.to(out).beginObject();
    json.name("text").string(seen.answer());
    json.name("truncated").bool(seen.isCut());
    json.name("finish_reason").string(seen.finishReason());
    json.name("events").number(seen.events());
    json.name("done").bool(seen.isDone());
    json.name("usage").beginObject();
    json.name("prompt_tokens").number(Math.max(0, seen.usage().input()));
    json.name("completion_tokens").number(Math.max(0, seen.usage().output()));
    json.endObject().endObject().finish();
    return out.toString(UTF_8).getBytes(UTF_8);
  }

  private static Parameters parameters(LlmRequest request) {
    Map<String, Object> parameters = new LinkedHashMap<>();
    request
        .exchange()
        .requestHeaders()
        .forEach((name, value) -> {
          String key = name.toLowerCase(Locale.ROOT);
          if (!key.equals("authorization")) {
            parameters.merge(InferenceRequest.HEADER_PREFIX + key, value, (a, b) -> a + ", " + b);
          }
        });
    return Parameters.copyOf(parameters);
  }
}
