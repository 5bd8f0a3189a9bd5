package dev.millrace.api;

import static java.util.Objects.requireNonNull;

/**
 * A model's name and version.
 *
 * @param version usually a number; empty in a request that leaves the choice to the server
 */
public record ModelId(String name, String version) {
  public ModelId {
    requireNonNull(name, "name is null");
    requireNonNull(version, "version is null");
  }

  /** The model, whichever version is the newest that is ready. */
  public static ModelId latest(String name) {
    return new ModelId(name, "");
  }

  /** Whether a version is named. */
  public boolean hasVersion() {
    return !version.isEmpty();
  }

  /** {@code name} or {@code name:version}. */
  @Override
  public String toString() {
    return hasVersion() ? name + ":" + version : name;
  }
}
