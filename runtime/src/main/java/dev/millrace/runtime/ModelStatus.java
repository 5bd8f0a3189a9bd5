package dev.millrace.runtime;

/**
 * One line of the registry's index.
 *
 * @param version empty if no version of the model was ever found
 * @param reason why it is not READY, for people; empty if there is nothing to say
 */
public record ModelStatus(String name, String version, ModelState state, String reason) {
  /** The reason of a version that was unloaded. */
  static final String UNLOADED = "unloaded";

  /** Whether it does not serve because it could not be loaded. */
  public boolean isFailed() {
    return state == ModelState.UNAVAILABLE && !reason.equals(UNLOADED);
  }
}
