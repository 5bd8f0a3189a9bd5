package dev.millrace.server.llm;

import dev.millrace.api.spi.Upstream;
import dev.millrace.runtime.ModelLease;
import org.jspecify.annotations.Nullable;

/**
 * What a request's model name stands for.
 *
 * @param lease the caller's
 * @param naming how the client names the model
 */
record Target(ModelLease lease, Naming naming) {
  /** How a client names a model. */
  enum Naming {
    /** By its own name, or not at all. */
    OWN,
    /** By another one, which the upstream does not know. */
    ALIAS,
    /** By one that the upstream knows as well. */
    ADAPTER
  }

  /** What the upstream is to be told that the model is called; null to leave it as it is. */
  @Nullable String nameAt(Upstream upstream) {
    return switch (naming) {
      case OWN -> upstream.model().orElse(null);
      case ALIAS -> upstream.model().orElse(lease.id().name());
      case ADAPTER -> null;
    };
  }
}
