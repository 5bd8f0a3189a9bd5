package dev.millrace.server.llm;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Optional;

/**
 * How OpenAI's API is served.
 *
 * @param prefix the path before which the API's own paths are served too, as KServe's clients
 *     expect; empty or {@code /} for none
 * @param keysFile the file with the keys that clients must have, read again when it changes; empty
 *     to ask for none
 */
public record LlmConfig(String prefix, Optional<Path> keysFile) {
  public LlmConfig {
    prefix = requireNonNull(prefix, "prefix is null").replaceFirst("/+$", "");
    requireNonNull(keysFile, "keysFile is null");
  }

  /** Everything by default: {@code /openai}, and no keys. */
  public static LlmConfig defaults() {
    return new LlmConfig("/openai", Optional.empty());
  }
}
