package dev.millrace.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.stream.Collectors.joining;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.util.Arrays;
import java.util.Locale;

/** One HTTP/1.1 connection, which shows exactly what became of each request. Not thread-safe. */
final class RestClient implements AutoCloseable {
  private final Socket socket;
  private final InputStream in;
  private final OutputStream out;

  /**
   * What came back.
   *
   * @param last whether the server closes the connection after it
   */
  record Answer(int status, boolean last, String body) {}

  RestClient(int port) throws IOException {
    socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(60_000);
    socket.setTcpNoDelay(true);
    in = new BufferedInputStream(socket.getInputStream());
    out = socket.getOutputStream();
  }

  static Answer get(int port, String path) throws IOException {
    try (RestClient client = new RestClient(port)) {
      return client.call("GET", path, "");
    }
  }

  static Answer post(int port, String path, String body) throws IOException {
    try (RestClient client = new RestClient(port)) {
      return client.call("POST", path, body);
    }
  }

  /** Sends a request and waits for its answer. */
  Answer call(String method, String path, String body) throws IOException {
    send(method, path, body);
    return receive();
  }

  /** Sends a request with more headers, as in {@code "X-User: ann"}. */
  void send(String method, String path, String body, String... headers) throws IOException {
    byte[] bytes = body.getBytes(UTF_8);
    String head =
        "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n"
            .formatted(
                method,
                path,
                bytes.length,
                Arrays.stream(headers).map(header -> header + "\r\n").collect(joining()));
    byte[] request = new byte[head.length() + bytes.length];
    System.arraycopy(head.getBytes(UTF_8), 0, request, 0, head.length());
    System.arraycopy(bytes, 0, request, head.length(), bytes.length);
    out.write(request);
  }

  Answer receive() throws IOException {
    String status = line();
    int length = 0;
    boolean last = false;
    for (String header = line(); !header.isEmpty(); header = line()) {
      String lower = header.toLowerCase(Locale.ROOT);
      if (lower.startsWith("content-length:")) {
        length = Integer.parseInt(lower.substring(15).strip());
      }
      last |= lower.equals("connection: close");
    }
    return new Answer(
        Integer.parseInt(status.substring(9, 12)), last, new String(in.readNBytes(length), UTF_8));
  }

  private String line() throws IOException {
    StringBuilder line = new StringBuilder();
    for (int c = in.read(); c != '\n'; c = in.read()) {
      if (c < 0) {
        throw new IOException("the connection was closed after '" + line + "'");
      }
      if (c != '\r') {
        line.append((char) c);
      }
    }
    return line.toString();
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
