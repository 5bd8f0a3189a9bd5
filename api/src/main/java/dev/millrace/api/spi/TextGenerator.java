package dev.millrace.api.spi;

import dev.millrace.api.Deadline;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/** A loaded model that turns a prompt into a stream of text. Thread-safe. */
public non-sealed interface TextGenerator extends Servable {
  /**
   * The text for one prompt, piece by piece. Generation starts when somebody subscribes and ends
   * when the subscription is cancelled; at most as many pieces come as were requested. A failure is
   * an {@link dev.millrace.api.InferenceException}.
   *
   * @return a publisher for one subscriber
   */
  Flow.Publisher<Chunk> generate(Prompt prompt);

  /** What to generate from. */
  record Prompt(String id, ModelId model, String text, Parameters parameters, Deadline deadline) {}

  /**
   * One piece of the answer.
   *
   * @param tokens how many tokens the piece stands for
   * @param finishReason why generation ended, as in {@code stop} or {@code length}; null before the
   *     last piece
   */
  record Chunk(String text, int tokens, @Nullable String finishReason) {}
}
