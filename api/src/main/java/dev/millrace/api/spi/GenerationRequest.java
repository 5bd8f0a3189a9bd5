package dev.millrace.api.spi;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.Deadline;
import java.nio.ByteBuffer;
import java.util.Map;

/**
 * One call in the form of OpenAI's API.
 *
 * @param body the client's JSON as it came, in UTF-8; read-only, and unchanged until the answer is
 *     complete or cancelled
 * @param headers the client's, by their names in lower case; several of one name are joined by
 *     commas
 * @param deadline after which nobody wants the answer, or its rest
 */
public record GenerationRequest(
    Operation operation, ByteBuffer body, Map<String, String> headers, Deadline deadline) {
  /** What a request asks for; OpenAI has a path for each. */
  public enum Operation {
    /** {@code /v1/chat/completions}. */
    CHAT,
    /** {@code /v1/completions}. */
    COMPLETION,
    /** {@code /v1/embeddings}. */
    EMBEDDINGS
  }

  public GenerationRequest {
    requireNonNull(operation, "operation is null");
    body = body.asReadOnlyBuffer();
    headers = Map.copyOf(headers);
    requireNonNull(deadline, "deadline is null");
  }
}
