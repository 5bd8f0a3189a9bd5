package dev.millrace.testing.llm;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.testing.llm.Answer.Events;
import dev.millrace.testing.llm.Answer.Whole;
import dev.millrace.testing.llm.ReceivedRequest.End;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * One connection: a thread that reads requests and sees when the client goes, and one that answers.
 */
final class EngineConnection {
  private static final int PIPELINED = 16;
  private static final long PACKET_PAUSE_NANOS = 1_000_000;

  private final ScriptedEngine engine;
  private final Socket socket;
  private final int number;
  private final OutputStream out;
  private final BlockingQueue<Exchange> exchanges = new ArrayBlockingQueue<>(PIPELINED);
  private int received;
  private int answered;
  private volatile boolean isReading;
  private volatile boolean isEnded;
  private volatile @Nullable ReceivedRequest current;

  /** A request and its script; without a request: the client has gone. */
  private record Exchange(@Nullable ReceivedRequest request, Script script) {}

  /** The script ended the connection. */
  private static final class Broken extends IOException {
    private static final long serialVersionUID = 1;
  }

  EngineConnection(ScriptedEngine engine, Socket socket, int number) throws IOException {
    this.engine = engine;
    this.socket = socket;
    this.number = number;
    this.out = socket.getOutputStream();
  }

  void start() {
    Thread.ofVirtual().name("engine-reader-" + number).start(this::read);
    Thread.ofVirtual().name("engine-writer-" + number).start(this::answerAll);
  }

  // ---- reading

  private void read() {
    try {
      HttpReader reader = new HttpReader(socket.getInputStream());
      while (reader.await()) {
        isReading = true;
        HttpReader.Head head = reader.head();
        Script script = engine.scriptFor(head);
        byte[] body = reader.body(head, script.number("read", 0));
        ReceivedRequest request =
            new ReceivedRequest(
                head.text(),
                body,
                head.method(),
                head.target(),
                head.headers(),
                number,
                received++);
        engine.received(request);
        exchanges.put(new Exchange(request, engine.scriptIn(request, script)));
        isReading = false;
      }
    } catch (IOException | IllegalArgumentException e) {
      engine.note(this + ": " + e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    isEnded = true;
    ReceivedRequest request = current;
    if (request != null) {
      request.ended(End.CANCELLED);
    }
    List<Exchange> unanswered = new ArrayList<>();
    exchanges.drainTo(unanswered);
    for (Exchange exchange : unanswered) {
      if (exchange.request() != null) {
        exchange.request().ended(End.CANCELLED);
      }
    }
    boolean offered = exchanges.offer(new Exchange(null, Script.PLAIN));
    if (!offered) {
      close();
    }
  }

  // ---- answering

  private void answerAll() {
    try {
      boolean more = true;
      while (more) {
        Exchange exchange = next();
        if (exchange == null || exchange.request() == null) {
          break;
        }
        more = answer(exchange.request(), exchange.script());
        answered++;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      close();
      engine.closed(this);
    }
  }

  /** The next request; null when the connection has been idle for too long. */
  private @Nullable Exchange next() throws InterruptedException {
    if (answered == 0) {
      return exchanges.take();
    }
    Duration limit = engine.keepAlive();
    while (true) {
      Exchange exchange = exchanges.poll(limit.toNanos(), TimeUnit.NANOSECONDS);
      if (exchange != null || !isReading) {
        return exchange;
      }
    }
  }

  private boolean answer(ReceivedRequest request, Script script) throws InterruptedException {
    current = request;
    if (isEnded) {
      request.ended(End.CANCELLED);
      return false;
    }
    engine.began(request);
    try {
      point(request, script, Script.REQUEST);
      boolean keep =
          !script.is("keep-alive", "no") && !"close".equalsIgnoreCase(request.header("connection"));
      if (script.is("garbage", "response")) {
        send(request, script, "\u0000\u0001this is no HTTP\n\n".getBytes(UTF_8), true);
        return false;
      }
      Answer answer = engine.answer(request, script);
      return switch (answer) {
        case Whole whole -> sendWhole(request, script, whole, keep) && keep;
        case Events events -> sendEvents(request, script, events, keep) && keep;
      };
    } catch (Broken e) {
      request.ended(End.BROKEN);
      return false;
    } catch (IOException e) {
      request.ended(End.CANCELLED);
      request.notAnswered();
      return false;
    } finally {
      engine.ended(request);
      current = null;
    }
  }

  /** Does what a script does at this point. */
  private void point(ReceivedRequest request, Script script, int now)
      throws IOException, InterruptedException {
    if (Script.isReached(script.reset, now, answered > 0)) {
      request.ended(End.BROKEN);
      socket.setSoLinger(true, 0);
      socket.close();
      throw new Broken();
    }
    if (Script.isReached(script.close, now, answered > 0)) {
      request.ended(End.BROKEN);
      socket.close();
      throw new Broken();
    }
    if (script.stall == now) {
      engine.stalled(request);
      request.awaitWake();
      pause(request, Duration.ZERO);
    }
  }

  private void pause(ReceivedRequest request, Duration time)
      throws IOException, InterruptedException {
    if (!time.isZero() && request.gone().await(time.toNanos(), TimeUnit.NANOSECONDS)) {
      throw new IOException("the client has gone");
    }
    if (request.gone().getCount() == 0) {
      throw new IOException("the client has gone");
    }
  }

  private boolean sendWhole(ReceivedRequest request, Script script, Whole whole, boolean keep)
      throws IOException, InterruptedException {
    if (Routes.isScripted(request.path())) {
      pause(request, script.delay);
    }
    byte[] body =
        (script.is("garbage", "body") ? "{\"choices\": [ this is no JSON" : whole.body())
            .getBytes(UTF_8);
    String framing = script.text("framing");
    boolean close = "close".equals(framing);
    boolean chunked = "chunked".equals(framing);
    StringBuilder head = head(whole.status());
    if (!close && !chunked) {
      head.append("content-length: ").append(body.length).append("\r\n");
    }
    type(head, script, whole.type());
    if (chunked) {
      head.append("transfer-encoding: chunked\r\n");
    }
    byte[] headBytes = headEnd(head, request, script, keep && !close);
    boolean breaks =
        isNumbered(script.close) || isNumbered(script.reset) || isNumbered(script.stall);
    if (script.close == 0 || script.reset == 0 || script.stall == 0 || breaks) {
      send(request, script, headBytes, false);
      point(request, script, Script.HEADERS);
      headBytes = new byte[0];
    }
    if (breaks) {
      int half = body.length / 2;
      byte[] start = Arrays.copyOf(body, half);
      send(request, script, chunked ? chunk(start) : start, false);
      point(request, script, firstNumber(script));
      byte[] rest = Arrays.copyOfRange(body, half, body.length);
      send(request, script, chunked ? joined(chunk(rest), LAST_CHUNK) : rest, true);
      return !close;
    }
    byte[] framed = chunked ? joined(chunk(body), LAST_CHUNK) : body;
    send(request, script, joined(headBytes, framed), true);
    return !close;
  }

  private static boolean isNumbered(int point) {
    return point > 0 && point != Script.NEVER;
  }

  private static int firstNumber(Script script) {
    return isNumbered(script.reset)
        ? script.reset
        : isNumbered(script.close) ? script.close : script.stall;
  }

  private static final byte[] LAST_CHUNK = "0\r\n\r\n".getBytes(ISO_8859_1);

  private boolean sendEvents(ReceivedRequest request, Script script, Events events, boolean keep)
      throws IOException, InterruptedException {
    StringBuilder head = head(200);
    type(head, script, "text/event-stream; charset=utf-8");
    head.append("transfer-encoding: chunked\r\n");
    send(request, script, headEnd(head, request, script, keep), false);
    int count = 0;
    point(request, script, count);
    if (script.is("garbage", "body")) {
      send(request, script, chunk("neither JSON nor events\u0007\n".getBytes(UTF_8)), false);
      send(request, script, LAST_CHUNK, true);
      return true;
    }
    for (Supplier<String> event : events.events()) {
      if (count == script.errorEvent) {
        break;
      }
      pause(request, count == 0 ? script.delay : script.gap);
      sendEvent(request, script, event.get());
      count++;
      if (count == script.garbage) {
        sendEvent(request, script, "data: {\"choices\": [ this is no JSON");
      }
      point(request, script, count);
    }
    if (script.errorEvent != Script.NEVER) {
      String message = script.text("message");
      sendEvent(
          request,
          script,
          Errors.event(
              engine.dialect(),
              script.number("status", 500),
              message == null ? "scripted to fail in the middle" : message));
    }
    if (events.done()) {
      sendEvent(request, script, "data: [DONE]");
    }
    send(request, script, LAST_CHUNK, true);
    return true;
  }

  private void sendEvent(ReceivedRequest request, Script script, String event) throws IOException {
    String text = (script.is("comments", "yes") ? ": ping\n\n" : "") + event + "\n\n";
    if (script.is("newline", "crlf")) {
      text = text.replace("\n", "\r\n");
    } else if (script.is("newline", "cr")) {
      text = text.replace('\n', '\r');
    }
    byte[] bytes = text.getBytes(UTF_8);
    if (script.is("fragment", "half")) {
      int half = bytes.length / 2;
      send(request, script, chunk(Arrays.copyOf(bytes, half)), false);
      LockSupport.parkNanos(PACKET_PAUSE_NANOS);
      send(request, script, chunk(Arrays.copyOfRange(bytes, half, bytes.length)), false);
    } else {
      send(request, script, chunk(bytes), false);
    }
    request.sentEvent();
    engine.sentEvent();
  }

  private static byte[] chunk(byte[] bytes) {
    byte[] size = (Integer.toHexString(bytes.length) + "\r\n").getBytes(ISO_8859_1);
    return joined(joined(size, bytes), new byte[] {'\r', '\n'});
  }

  private static byte[] joined(byte[] one, byte[] other) {
    byte[] both = Arrays.copyOf(one, one.length + other.length);
    System.arraycopy(other, 0, both, one.length, other.length);
    return both;
  }

  private void send(ReceivedRequest request, Script script, byte[] bytes, boolean last)
      throws IOException {
    if (last) {
      request.ended(End.ANSWERED);
    }
    String fragment = script.text("fragment");
    int step =
        fragment == null || fragment.equals("half")
            ? bytes.length
            : script.number("fragment", bytes.length);
    for (int at = 0; at < bytes.length; at += step) {
      int count = Math.min(step, bytes.length - at);
      out.write(bytes, at, count);
      request.sent(count);
      if (at + count < bytes.length) {
        LockSupport.parkNanos(PACKET_PAUSE_NANOS);
      }
    }
  }

  // ---- heads, as uvicorn writes them

  private static final Map<Integer, String> REASONS =
      Map.ofEntries(
          Map.entry(200, "OK"),
          Map.entry(400, "Bad Request"),
          Map.entry(401, "Unauthorized"),
          Map.entry(403, "Forbidden"),
          Map.entry(404, "Not Found"),
          Map.entry(405, "Method Not Allowed"),
          Map.entry(408, "Request Timeout"),
          Map.entry(409, "Conflict"),
          Map.entry(422, "Unprocessable Entity"),
          Map.entry(429, "Too Many Requests"),
          Map.entry(500, "Internal Server Error"),
          Map.entry(501, "Not Implemented"),
          Map.entry(502, "Bad Gateway"),
          Map.entry(503, "Service Unavailable"),
          Map.entry(504, "Gateway Timeout"));

  private static StringBuilder head(int status) {
    return new StringBuilder(256)
        .append("HTTP/1.1 ")
        .append(status)
        .append(' ')
        .append(REASONS.getOrDefault(status, ""))
        .append("\r\ndate: ")
        .append(DateTimeFormatter.RFC_1123_DATE_TIME.format(ZonedDateTime.now(ZoneOffset.UTC)))
        .append("\r\nserver: uvicorn\r\n");
  }

  private static void type(StringBuilder head, Script script, @Nullable String type) {
    if (type != null
        && script.headers.stream()
            .noneMatch(line -> line.regionMatches(true, 0, "content-type:", 0, 13))) {
      head.append("content-type: ").append(type).append("\r\n");
    }
  }

  private byte[] headEnd(StringBuilder head, ReceivedRequest request, Script script, boolean keep) {
    String id = request.header("x-request-id");
    if (engine.echoesRequestId() && id != null) {
      head.append("x-request-id: ").append(id).append("\r\n");
    }
    for (String line : script.headers) {
      head.append(line).append("\r\n");
    }
    if (!keep) {
      head.append("connection: close\r\n");
    }
    return head.append("\r\n").toString().getBytes(ISO_8859_1);
  }

  void close() {
    try {
      socket.close();
    } catch (IOException e) {
      engine.note(this + ": " + e);
    }
  }

  /** Ends the connection with RST. */
  void reset() {
    try {
      socket.setSoLinger(true, 0);
      socket.close();
    } catch (IOException e) {
      engine.note(this + ": " + e);
    }
  }

  @Override
  public String toString() {
    return "connection " + number;
  }
}
