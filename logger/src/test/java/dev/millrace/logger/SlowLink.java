package dev.millrace.logger;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/**
 * A way to a server on this machine over which only so many bytes a second go there; what comes
 * back is not held up.
 */
final class SlowLink implements AutoCloseable {
  /** What systems keep for a reader, so that a writer soon feels how slow it is. */
  private static final int BUFFER = 8 << 10;

  private static final int CHUNK = 1024;

  private final ServerSocket listening;
  private final List<Socket> open = new CopyOnWriteArrayList<>();
  private volatile int target;
  private volatile long bytesPerSecond = Long.MAX_VALUE;

  SlowLink() {
    try {
      listening = new ServerSocket();
      listening.setReceiveBufferSize(BUFFER);
      listening.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Thread.startVirtualThread(this::accept);
  }

  String address() {
    return "localhost:" + listening.getLocalPort();
  }

  /** Leads to that port from now on. */
  void to(int port) {
    target = port;
  }

  /** Lets so many bytes a second through, of each connection. */
  void limit(long most) {
    bytesPerSecond = most;
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listening.accept();
        Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
        open.addAll(List.of(client, server));
        Thread.startVirtualThread(() -> copy(client, server, true));
        Thread.startVirtualThread(() -> copy(server, client, false));
      }
    } catch (IOException e) {
      // closed
    }
  }

  private void copy(Socket from, Socket to, boolean slow) {
    byte[] bytes = new byte[slow ? CHUNK : 64 << 10];
    try (from;
        to;
        InputStream in = from.getInputStream();
        OutputStream out = to.getOutputStream()) {
      for (int count = in.read(bytes); count >= 0; count = in.read(bytes)) {
        out.write(bytes, 0, count);
        if (slow && bytesPerSecond < Long.MAX_VALUE) {
          TimeUnit.NANOSECONDS.sleep(TimeUnit.SECONDS.toNanos(count) / bytesPerSecond);
        }
      }
    } catch (IOException e) {
      // one side has ended, so the other does
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() throws IOException {
    listening.close();
    for (Socket socket : open) {
      socket.close();
    }
  }
}
