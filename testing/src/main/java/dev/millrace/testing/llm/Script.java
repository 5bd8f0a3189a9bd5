package dev.millrace.testing.llm;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How one request is answered, and what goes wrong meanwhile. Immutable.
 *
 * <p>A script is a text of {@code key=value} pairs with semicolons between them; the empty one
 * answers as vLLM does. The same text is taken from the request header {@value #HEADER}, from the
 * field {@value #FIELD} of the request's JSON, and from {@code /_scripted/script}.
 *
 * <table>
 * <caption>Keys</caption>
 * <tr><th>key</th><th>value</th></tr>
 * <tr><td>text</td><td>the answer; its words are the tokens. Without it the prompt is
 *     echoed</td></tr>
 * <tr><td>tokens</td><td>as many tokens, the words over and over again</td></tr>
 * <tr><td>size</td><td>bytes of each token, however long its word is</td></tr>
 * <tr><td>delay, gap</td><td>before the first token, and between two: {@code 10ms},
 *     {@code 2s}</td></tr>
 * <tr><td>status</td><td>answer with this status</td></tr>
 * <tr><td>error</td><td>shape of errors: flat, nested, string, kserve, openai, fastapi, text,
 *     html, empty</td></tr>
 * <tr><td>message</td><td>text of errors</td></tr>
 * <tr><td>header</td><td>one more response header, {@code Retry-After: 2}; may come often</td></tr>
 * <tr><td>close, reset, stall</td><td>end the connection (with FIN, with RST) or say nothing any
 *     more, at a point: {@code request} (when it has been read), {@code reused} (the same, but only
 *     if the connection has answered a request before; not for stall), {@code headers}, or a number
 *     of events. An answer that is no stream breaks off in the middle at any number</td></tr>
 * <tr><td>error-event</td><td>after so many events one that is an error, then the end</td></tr>
 * <tr><td>garbage</td><td>{@code response}: no HTTP; {@code body}: neither JSON nor events; a number:
 *     after so many events one that is no JSON</td></tr>
 * <tr><td>fragment</td><td>{@code half}: each event in two packets; a number: so many bytes a
 *     packet</td></tr>
 * <tr><td>newline</td><td>lf, crlf, cr</td></tr>
 * <tr><td>comments</td><td>{@code yes}: a comment line before each event</td></tr>
 * <tr><td>done</td><td>{@code no}: the stream ends without {@code [DONE]}</td></tr>
 * <tr><td>usage</td><td>{@code no}: never; {@code last}: in the last delta, asked or not</td></tr>
 * <tr><td>stream</td><td>{@code no}: one JSON text though a stream was asked for</td></tr>
 * <tr><td>framing</td><td>of what is no stream: length, chunked, close</td></tr>
 * <tr><td>keep-alive</td><td>{@code no}: closes the connection afterwards, and says so</td></tr>
 * <tr><td>read</td><td>bytes of the request's body read every 10 ms; not from {@value #FIELD}</td></tr>
 * </table>
 */
public final class Script {
  /** The request header that carries a script. */
  public static final String HEADER = "x-scripted";

  /** The field of a request's JSON that carries a script. */
  public static final String FIELD = "scripted";

  /** Answers as vLLM does. */
  public static final Script PLAIN = new Script(Map.of(), List.of());

  /** A point that is never reached. */
  static final int NEVER = Integer.MAX_VALUE;

  /** The point at which the request has been read. */
  static final int REQUEST = -1;

  /** As {@link #REQUEST}, on a connection that has answered before. */
  static final int REUSED = -2;

  /** The point at which the headers have been sent. */
  static final int HEADERS = 0;

  private static final List<String> KEYS =
      List.of(
          "text",
          "tokens",
          "size",
          "delay",
          "gap",
          "status",
          "error",
          "message",
          "header",
          "close",
          "reset",
          "stall",
          "error-event",
          "garbage",
          "fragment",
          "newline",
          "comments",
          "done",
          "usage",
          "stream",
          "framing",
          "keep-alive",
          "read");

  private final Map<String, String> values;

  /** Response headers, as lines. */
  final List<String> headers;

  final int close;
  final int reset;
  final int stall;
  final int errorEvent;
  final int garbage;
  final Duration delay;
  final Duration gap;

  private Script(Map<String, String> values, List<String> headers) {
    this.values = values;
    this.headers = headers;
    this.close = point("close");
    this.reset = point("reset");
    this.stall = point("stall");
    this.errorEvent = point("error-event");
    this.garbage = is("garbage", "response") || is("garbage", "body") ? NEVER : point("garbage");
    this.delay = duration("delay");
    this.gap = duration("gap");
    number("tokens", 0);
    number("size", 0);
    number("status", 200);
    number("read", 0);
    oneOf(
        "error",
        List.of(
            "flat", "nested", "string", "kserve", "openai", "fastapi", "text", "html", "empty"));
    oneOf("newline", List.of("lf", "crlf", "cr"));
    oneOf("framing", List.of("length", "chunked", "close"));
    oneOf("usage", List.of("no", "last"));
    for (String key : List.of("comments", "done", "stream", "keep-alive")) {
      oneOf(key, List.of("yes", "no"));
    }
    if (!is("fragment", "half")) {
      number("fragment", 0);
    }
  }

  private void oneOf(String key, List<String> known) {
    String value = values.get(key);
    if (value != null && !known.contains(value)) {
      throw new IllegalArgumentException(
          "%s of a script is one of %s; got '%s'".formatted(key, known, value));
    }
  }

  /**
   * Reads a script.
   *
   * @throws IllegalArgumentException if a key or value is not known
   */
  public static Script of(String text) {
    Map<String, String> values = new LinkedHashMap<>();
    List<String> headers = new ArrayList<>();
    for (String pair : text.split(";", -1)) {
      if (pair.isBlank()) {
        continue;
      }
      int equals = pair.indexOf('=');
      String key = (equals < 0 ? pair : pair.substring(0, equals)).strip();
      if (equals < 0 || !KEYS.contains(key)) {
        throw new IllegalArgumentException(
            "a script has key=value with one of %s; got '%s'".formatted(KEYS, pair.strip()));
      }
      String value = pair.substring(equals + 1).strip();
      if (key.equals("header")) {
        headers.add(value);
      } else {
        values.put(key, value);
      }
    }
    return new Script(values, List.copyOf(headers));
  }

  private int point(String key) {
    return switch (values.get(key)) {
      case null -> NEVER;
      case "request" -> REQUEST;
      case "reused" -> REUSED;
      case "headers" -> HEADERS;
      default -> number(key, NEVER);
    };
  }

  private Duration duration(String key) {
    String value = values.getOrDefault(key, "0ms");
    boolean millis = value.endsWith("ms");
    try {
      if (millis || value.endsWith("s")) {
        long number = Long.parseLong(value.substring(0, value.length() - (millis ? 2 : 1)));
        return millis ? Duration.ofMillis(number) : Duration.ofSeconds(number);
      }
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "%s of a script is a time as in 10ms; got '%s'".formatted(key, value), e);
    }
    throw new IllegalArgumentException(
        "%s of a script is a time as in 10ms; got '%s'".formatted(key, value));
  }

  int number(String key, int otherwise) {
    String value = values.get(key);
    try {
      return value == null ? otherwise : Integer.parseInt(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "%s of a script is a number; got '%s'".formatted(key, value), e);
    }
  }

  boolean is(String key, String value) {
    return value.equals(values.get(key));
  }

  @Nullable String text(String key) {
    return values.get(key);
  }

  /** Whether an event is a point of this kind, given whether the connection has answered before. */
  static boolean isReached(int point, int now, boolean isReused) {
    return point == now || (point == REUSED && now == REQUEST && isReused);
  }

  @Override
  public String toString() {
    return values + (headers.isEmpty() ? "" : " " + headers);
  }
}
