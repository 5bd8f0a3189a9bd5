package dev.millrace.server.http;

/**
 * Answers the requests of one route. Called by many threads at once, event loops among them, so it
 * does not block.
 */
@FunctionalInterface
public interface RouteHandler {
  /**
   * Answers {@code exchange}, now or later, by one of its methods. The request's body is there in
   * full, and gone when this returns unless the handler retained it.
   *
   * @throws dev.millrace.api.InferenceException what the client shall be told; any other exception
   *     counts as INTERNAL
   */
  void handle(HttpExchange exchange);
}
