package dev.millrace.api.spi;

import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import java.util.Set;
import java.util.concurrent.Flow;

/**
 * A loaded model that answers requests in the form of OpenAI's API itself: JSON in, and one JSON
 * text or a stream of them out. Thread-safe.
 */
public non-sealed interface TextGenerator extends Servable {
  /** What can be asked for; constant. */
  Set<GenerationRequest.Operation> operations();

  /**
   * Answers a request: with one part that is the whole answer, or with any number of parts that are
   * the chunks of a stream. Which of both it is, the first part tells; the request only says what
   * is wanted.
   *
   * <p>Work starts when somebody subscribes, and is given up soon after the subscription is
   * cancelled, whole answers too. At most as many parts come as were requested: whoever requests
   * slowly slows the model down, and not more than a bounded number of parts is held for him. Parts
   * come on a thread that may be any; the subscriber must not block it for long. A failure is an
   * {@link dev.millrace.api.InferenceException}, and may come after some parts.
   *
   * @return a publisher for one subscriber
   */
  Flow.Publisher<Part> generate(GenerationRequest request);

  /**
   * A whole answer or a chunk of one.
   *
   * @param isWhole whether this is all of the answer, and none was streamed
   * @param json UTF-8, without line breaks if it is a chunk; read-only, and nobody else's
   */
  record Part(boolean isWhole, ByteBuffer json) {
    public Part {
      requireNonNull(json, "json is null");
    }
  }
}
