package dev.millrace.server.http;

/** One protocol's paths. */
public interface Routes {
  /** Adds them; called once, before the first request. */
  void addTo(Router router);
}
