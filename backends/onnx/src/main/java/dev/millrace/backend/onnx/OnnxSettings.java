package dev.millrace.backend.onnx;

import dev.millrace.api.Settings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The section {@code onnx} of a model's configuration.
 *
 * @param optimizationLevel how far the engine rewrites the graph when it loads it
 * @param interOpThreads how many operators of one run may run side by side
 * @param provider the engine's name of the execution provider, as in {@code CPUExecutionProvider}
 * @param providerOptions the provider's own keys and values
 * @param memoryArena whether the engine keeps memory for its next run
 * @param sessionConfig the engine's own keys and values for a session
 */
record OnnxSettings(
    OptimizationLevel optimizationLevel,
    int interOpThreads,
    String provider,
    Map<String, String> providerOptions,
    boolean memoryArena,
    Map<String, String> sessionConfig) {
  static final String CPU = "CPUExecutionProvider";

  /** The engine's GraphOptimizationLevel. */
  enum OptimizationLevel {
    NONE(0),
    BASIC(1),
    EXTENDED(2),
    ALL(99);

    private final int value;

    OptimizationLevel(int value) {
      this.value = value;
    }

    int value() {
      return value;
    }
  }

  OnnxSettings {
    providerOptions = Map.copyOf(providerOptions);
    sessionConfig = Map.copyOf(sessionConfig);
  }

  /**
   * Reads the section.
   *
   * @param defaultProvider where the model runs if the section does not say
   * @param providers the execution providers of this build
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if a key or value does not do
   */
  static OnnxSettings read(Settings settings, String defaultProvider, List<String> providers) {
    OnnxSettings read =
        new OnnxSettings(
            settings
                .oneOf("optimization-level", OptimizationLevel.class)
                .orElse(OptimizationLevel.ALL),
            settings.integer("inter-op-threads", 1, 1024).orElse(1),
            provider(settings, defaultProvider, providers),
            texts(settings, "provider-options"),
            settings.bool("memory-arena").orElse(true),
            texts(settings, "session-config"));
    if (read.providerOptions.containsKey(OrtSessionOptions.DEVICE_ID)) {
      throw settings.bad(
          "provider-options." + OrtSessionOptions.DEVICE_ID,
          read.providerOptions.get(OrtSessionOptions.DEVICE_ID),
          "nothing, as the model's 'device' says which");
    }
    settings.rejectUnknown();
    return read;
  }

  /** The provider by its short name, in whatever case: {@code cuda} is CUDAExecutionProvider. */
  private static String provider(Settings settings, String defaultProvider, List<String> known) {
    String wanted = settings.string("execution-provider").orElse(shortName(defaultProvider));
    for (String provider : known) {
      if (shortName(provider).equals(shortName(wanted))) {
        return provider;
      }
    }
    throw settings.bad(
        "execution-provider",
        wanted,
        "one of this build: "
            + String.join(", ", known.stream().map(OnnxSettings::shortName).toList()));
  }

  static String shortName(String provider) {
    String lower = provider.strip().toLowerCase(Locale.ROOT);
    return lower.endsWith("executionprovider")
        ? lower.substring(0, lower.length() - "executionprovider".length())
        : lower;
  }

  private static Map<String, String> texts(Settings settings, String key) {
    Settings section = settings.section(key);
    Map<String, String> texts = new LinkedHashMap<>();
    for (String name : section.keys()) {
      section.string(name).ifPresent(value -> texts.put(name, value));
    }
    return texts;
  }
}
