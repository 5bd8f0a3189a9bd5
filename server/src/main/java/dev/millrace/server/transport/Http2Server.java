package dev.millrace.server.transport;

import io.netty.channel.Channel;
import java.time.Duration;

/** The front end for connections that speak HTTP/2. Thread-safe. */
public interface Http2Server {
  /**
   * Takes over a connection whose client has sent the HTTP/2 preface. Called on the connection's
   * event loop, with reading switched off; returns at once.
   *
   * @param ready to be run on the connection's event loop, once, when the handlers are in its
   *     pipeline: brings them the bytes that were read so far and switches reading on. Not run if
   *     the connection is closed instead.
   */
  void adopt(Channel connection, Runnable ready);

  /** Tells all clients to go elsewhere with new calls; the calls in flight go on. May block. */
  void shutdown();

  /** Waits for the calls in flight; false if some are left after {@code timeout}. */
  boolean awaitTermination(Duration timeout) throws InterruptedException;

  /** Ends the calls in flight and closes the connections. */
  void shutdownNow();
}
