package dev.millrace.logger;

import dev.millrace.api.Settings;
import java.util.Map;

/**
 * One kind of {@link Sink}, found by {@link java.util.ServiceLoader} among the logger's own jars:
 * to add one, put its jar beside them.
 */
public interface SinkProvider {
  /** What the setting {@code sink} calls it. */
  String name();

  /**
   * Makes a sink, which the caller closes.
   *
   * @param settings the logger's; a sink reads the keys that it knows
   * @param environment the process's environment variables
   * @param promised whether messages are sent until they arrive, and must not be overtaken
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT for settings
   */
  Sink open(Settings settings, Map<String, String> environment, boolean promised);
}
