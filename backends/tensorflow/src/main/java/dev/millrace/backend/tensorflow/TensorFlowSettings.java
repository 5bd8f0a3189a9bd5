package dev.millrace.backend.tensorflow;

import dev.millrace.api.Settings;
import java.util.List;
import java.util.Optional;

/**
 * The section {@code tensorflow} of a model's configuration.
 *
 * @param signature the signature that the model is called by; empty for the usual one
 * @param tags the tags of the graph to load
 * @param interOpThreads how many operators of one run may run side by side
 * @param warmUpRequests whether the requests in {@code assets.extra/} are run at load
 */
record TensorFlowSettings(
    Optional<String> signature, List<String> tags, int interOpThreads, boolean warmUpRequests) {
  TensorFlowSettings {
    tags = List.copyOf(tags);
  }

  /**
   * Reads the section.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if a key or value does not do
   */
  static TensorFlowSettings read(Settings settings) {
    TensorFlowSettings read =
        new TensorFlowSettings(
            settings.string("signature"),
            tags(settings),
            settings.integer("inter-op-threads", 1, 1024).orElse(1),
            settings.bool("warm-up-requests").orElse(true));
    settings.rejectUnknown();
    return read;
  }

  private static List<String> tags(Settings settings) {
    List<String> tags = settings.list("tags").stream().map(String::valueOf).toList();
    return tags.isEmpty() ? List.of("serve") : tags;
  }
}
