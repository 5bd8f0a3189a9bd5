package dev.millrace.api.spi;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.util.Map;

/** The plug-in for one kind of inference logger, found by {@link java.util.ServiceLoader}. */
public interface LoggerProvider {
  /** The logger's name, for people. */
  String name();

  /**
   * Makes the logger of a server, which the caller closes. May block, to find out whether records
   * can be delivered.
   *
   * @param settings the server's section for loggers; unknown keys are refused
   * @param environment the process's environment variables
   * @param listener told of everything that happens to records
   * @throws InferenceException INVALID_ARGUMENT for settings, FAILED_PRECONDITION if what is
   *     outside is not as the settings need it
   */
  InferenceLogger start(Settings settings, Map<String, String> environment, LogListener listener);
}
