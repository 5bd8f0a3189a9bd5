package dev.millrace.testing.llm;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.ProtocolException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Reads requests of HTTP/1.1, one after the other. Used by one thread. */
final class HttpReader {
  private static final int MOST_HEAD_BYTES = 64 << 10;
  private static final long SLOW_PAUSE_NANOS = 10_000_000;

  /** Request line and headers. */
  record Head(String text, String method, String target, List<Map.Entry<String, String>> headers) {
    @Nullable String header(String name) {
      for (Map.Entry<String, String> header : headers) {
        if (header.getKey().equalsIgnoreCase(name)) {
          return header.getValue();
        }
      }
      return null;
    }
  }

  private final InputStream in;

  HttpReader(InputStream in) {
    this.in = new BufferedInputStream(in, 16 << 10);
  }

  /** Waits until there is something to read; false at the end. */
  boolean await() throws IOException {
    in.mark(1);
    boolean more = in.read() >= 0;
    if (more) {
      in.reset();
    }
    return more;
  }

  Head head() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    List<String> lines = new ArrayList<>();
    for (String line = line(bytes); !line.isEmpty(); line = line(bytes)) {
      lines.add(line);
    }
    if (lines.isEmpty()) {
      throw new ProtocolException("no request line");
    }
    String[] words = lines.getFirst().split(" ", -1);
    if (words.length != 3 || !words[2].equals("HTTP/1.1")) {
      throw new ProtocolException("a request line that says " + lines.getFirst());
    }
    List<Map.Entry<String, String>> headers = new ArrayList<>();
    for (String header : lines.subList(1, lines.size())) {
      int colon = header.indexOf(':');
      if (colon < 1) {
        throw new ProtocolException("a header that says " + header);
      }
      headers.add(Map.entry(header.substring(0, colon), header.substring(colon + 1).strip()));
    }
    return new Head(bytes.toString(ISO_8859_1), words[0], words[1], headers);
  }

  private String line(ByteArrayOutputStream copy) throws IOException {
    StringBuilder line = new StringBuilder();
    while (true) {
      int b = in.read();
      if (b < 0) {
        throw new EOFException("in the middle of a request");
      }
      copy.write(b);
      if (copy.size() > MOST_HEAD_BYTES) {
        throw new ProtocolException("headers of more than %d bytes".formatted(MOST_HEAD_BYTES));
      }
      if (b == '\n') {
        int length = line.length();
        if (length > 0 && line.charAt(length - 1) == '\r') {
          line.setLength(length - 1);
        }
        return line.toString();
      }
      line.append((char) b);
    }
  }

  /**
   * The body that belongs to a head.
   *
   * @param pace bytes every 10 ms; 0 for as fast as they come
   */
  byte[] body(Head head, int pace) throws IOException {
    String encoding = head.header("transfer-encoding");
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    if (encoding != null) {
      if (!encoding.equalsIgnoreCase("chunked")) {
        throw new ProtocolException("a transfer encoding of " + encoding);
      }
      ByteArrayOutputStream framing = new ByteArrayOutputStream();
      while (true) {
        framing.reset();
        String size = line(framing);
        int extension = size.indexOf(';');
        int length = Integer.parseInt(extension < 0 ? size : size.substring(0, extension), 16);
        if (length == 0) {
          break;
        }
        read(body, length, pace);
        line(framing);
      }
      while (!line(framing).isEmpty()) {
        framing.reset();
      }
      return body.toByteArray();
    }
    String length = head.header("content-length");
    if (length != null) {
      read(body, Integer.parseInt(length), pace);
    }
    return body.toByteArray();
  }

  private void read(ByteArrayOutputStream body, int length, int pace) throws IOException {
    for (int left = length; left > 0; ) {
      byte[] bytes = in.readNBytes(pace == 0 ? left : Math.min(left, pace));
      if (bytes.length == 0) {
        throw new EOFException("%d bytes before the end of a body".formatted(left));
      }
      body.write(bytes, 0, bytes.length);
      left -= bytes.length;
      if (pace > 0) {
        LockSupport.parkNanos(SLOW_PAUSE_NANOS);
      }
    }
  }
}
