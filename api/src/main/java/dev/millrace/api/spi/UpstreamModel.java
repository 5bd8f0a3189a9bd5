package dev.millrace.api.spi;

import java.util.List;

/**
 * A model that other servers answer for, in the form of OpenAI's API over HTTP: the front end
 * relays requests to them. Thread-safe.
 */
public non-sealed interface UpstreamModel extends Servable {
  /** How requests are relayed; constant. */
  UpstreamPolicy policy();

  /**
   * Who answers now; empty while nobody does, as when an engine is starting. Asked for each
   * request, so it returns at once, and the same list as long as nothing has changed.
   */
  List<Upstream> upstreams();
}
