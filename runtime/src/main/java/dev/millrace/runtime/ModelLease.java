package dev.millrace.runtime;

import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;

/**
 * The right to use a loaded version: it is not freed before the lease is closed, even if it is
 * unloaded or replaced meanwhile. Whoever took it closes it; from any thread.
 */
@SuppressWarnings({"DoNotCallSuggester", "DoNotCall"}) // bodies follow
public final class ModelLease implements AutoCloseable {
  ModelLease() {}

  /** Name and version of what is leased. */
  public ModelId id() {
    throw new UnsupportedOperationException();
  }

  /** What the version declares. */
  public ModelMetadata metadata() {
    throw new UnsupportedOperationException();
  }

  /** Gives the right back; a second call does nothing. */
  @Override
  public void close() {
    throw new UnsupportedOperationException();
  }
}
