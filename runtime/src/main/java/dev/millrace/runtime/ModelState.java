package dev.millrace.runtime;

/** Where a model version is in its life; the names are those of the repository protocol. */
public enum ModelState {
  /** In the repository, never asked to be loaded. */
  UNKNOWN,
  /** Being loaded for the first time; does not serve yet. */
  LOADING,
  /** Serves. */
  READY,
  /** Takes no new request; freed once the last one is done. */
  UNLOADING,
  /** Failed to load, or was unloaded; the reason is beside it. */
  UNAVAILABLE
}
