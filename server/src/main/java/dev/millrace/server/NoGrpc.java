package dev.millrace.server;

import dev.millrace.server.transport.Http2Server;
import io.netty.channel.Channel;
import java.time.Duration;

/** Stands in until the gRPC front end is here. */
final class NoGrpc implements Http2Server {
  @Override
  @SuppressWarnings("FutureReturnValueIgnored")
  public void adopt(Channel connection, Runnable ready) {
    connection.close();
  }

  @Override
  public void shutdown() {}

  @Override
  public boolean awaitTermination(Duration timeout) {
    return true;
  }

  @Override
  public void shutdownNow() {}
}
