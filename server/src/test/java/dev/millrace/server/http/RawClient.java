package dev.millrace.server.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** A client that sends what it is told, byte by byte, and reads answers. */
public final class RawClient implements AutoCloseable {
  private final Socket socket;
  private final InputStream in;

  /** Connects to a port of this machine. */
  public RawClient(int port) throws IOException {
    socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(10_000);
    socket.setTcpNoDelay(true);
    in = new BufferedInputStream(socket.getInputStream());
  }

  /** Sends text, whose lines end with CR LF. */
  public RawClient send(String text) throws IOException {
    return send(text.getBytes(ISO_8859_1));
  }

  public RawClient send(byte[] bytes) throws IOException {
    socket.getOutputStream().write(bytes);
    socket.getOutputStream().flush();
    return this;
  }

  /** Sends a request with that body. */
  public RawClient post(String path, String body, String... headers) throws IOException {
    StringBuilder head = new StringBuilder("POST " + path + " HTTP/1.1\r\nHost: h\r\n");
    for (String header : headers) {
      head.append(header).append("\r\n");
    }
    return send(head + "Content-Length: " + body.length() + "\r\n\r\n" + body);
  }

  public RawClient get(String path) throws IOException {
    return send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
  }

  /** One answer. */
  public static final class Response {
    private final int status;
    private final Map<String, String> headers;
    private final byte[] bytes;

    private Response(int status, Map<String, String> headers, byte[] bytes) {
      this.status = status;
      this.headers = headers;
      this.bytes = bytes;
    }

    public int status() {
      return status;
    }

    /** All headers, by name in lower case. */
    public Map<String, String> headers() {
      return headers;
    }

    public byte[] bytes() {
      return bytes;
    }

    public String body() {
      return new String(bytes, UTF_8);
    }

    /** A header that has to be there. */
    public String header(String name) {
      String value = headers.get(name.toLowerCase(Locale.ROOT));
      if (value == null) {
        throw new AssertionError("no header '" + name + "' in " + headers);
      }
      return value;
    }
  }

  /** The next answer. */
  public Response read() throws IOException {
    return read(false);
  }

  /** The next answer, of which only the head comes if {@code headOnly}. */
  public Response read(boolean headOnly) throws IOException {
    String line = line();
    int status = Integer.parseInt(line.split(" ", 3)[1]);
    Map<String, String> headers = new LinkedHashMap<>();
    for (line = line(); !line.isEmpty(); line = line()) {
      int colon = line.indexOf(':');
      headers.put(
          line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).trim());
    }
    int length = Integer.parseInt(headers.getOrDefault("content-length", "0"));
    return new Response(status, headers, headOnly ? new byte[0] : in.readNBytes(length));
  }

  private String line() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException("after '" + line.toString(ISO_8859_1) + "'");
      }
      if (b != '\r') {
        line.write(b);
      }
    }
    return line.toString(ISO_8859_1);
  }

  /** The next bytes, whatever they are; fewer only if the connection ends. */
  public String readText(int size) throws IOException {
    return new String(in.readNBytes(size), UTF_8);
  }

  /** Whether the server closes, without another byte. */
  public boolean isClosedByServer() throws IOException {
    try {
      return in.read() < 0;
    } catch (java.net.SocketException reset) {
      return true;
    }
  }

  public Socket socket() {
    return socket;
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
