package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Sees what goes by in a stream of events: when the first token came, the last one, the usage, how
 * it ended, and if it is to be logged, the text. Parses only the events that it has to. Not
 * thread-safe.
 */
final class StreamObserver implements SseFramer.Observer {
  private static final byte[] USAGE = "usage\"".getBytes(UTF_8);
  private static final byte[] DONE = "[DONE]".getBytes(UTF_8);
  private static final byte[] ERROR = "{\"error\"".getBytes(UTF_8);
  private static final byte[] NAME = "data:".getBytes(UTF_8);

  private final boolean hidesUsage;
  private final int mostText;
  private final Usage usage = new Usage();
  private final StringBuilder answer = new StringBuilder();
  private boolean isCut;
  private String finishReason = "";
  private int events;
  private long firstNanos;
  private long lastNanos;
  private boolean done;
  private boolean failed;

  /**
   * An observer of one stream.
   *
   * @param hidesUsage whether events that bring nothing but the usage are not passed on
   * @param mostText most characters of the text that are kept, 0 for none
   */
  StreamObserver(boolean hidesUsage, int mostText) {
    this.hidesUsage = hidesUsage;
    this.mostText = mostText;
  }

  @Override
  public boolean event(ByteBuf in, int start, int end) {
    int data = dataStart(in, start, end);
    if (data < 0) { // a comment, as a heartbeat, says nothing of tokens
      return true;
    }
    int dataEnd = lineEnd(in, data, end);
    if (isAt(in, data, dataEnd, DONE)) {
      done = true;
      return true;
    }
    lastNanos = System.nanoTime();
    if (events++ == 0) {
      firstNanos = lastNanos;
    }
    failed |= isAt(in, data, dataEnd, ERROR);
    if (mostText > 0 || usage(in, data, dataEnd) >= 0) {
      return !(parse(in.slice(data, dataEnd - data)) && hidesUsage);
    }
    return true;
  }

  /** Where the payload of the first line {@code data:} begins; negative if there is none. */
  private static int dataStart(ByteBuf in, int start, int end) {
    int at = start;
    while (at < end) {
      if (isAt(in, at, end, NAME)) {
        int data = at + NAME.length;
        while (data < end && in.getByte(data) == ' ') {
          data++;
        }
        return data;
      }
      at = lineEnd(in, at, end) + 1;
    }
    return -1;
  }

  /**
   * Where the object {@code usage} begins; negative if there is none. Looks for a rare letter
   * first, eight bytes at a time: nearly no event has what is looked for. An engine may say {@code
   * "usage":null} in every event. In a text the quote would stand behind a backslash.
   */
  private static int usage(ByteBuf in, int start, int end) {
    for (int at = in.indexOf(start, end, (byte) 'u');
        at >= 0;
        at = in.indexOf(at + 1, end, (byte) 'u')) {
      if (isAt(in, at, end, USAGE)) {
        int value = at + USAGE.length;
        while (value < end && (in.getByte(value) == ' ' || in.getByte(value) == ':')) {
          value++;
        }
        if (value < end && in.getByte(value) == '{') {
          return value;
        }
      }
    }
    return -1;
  }

  /** The first LF or CR; {@code end} if there is none. */
  private static int lineEnd(ByteBuf in, int from, int end) {
    int newline = in.indexOf(from, end, (byte) '\n');
    int until = newline < 0 ? end : newline;
    int carriageReturn = in.indexOf(from, until, (byte) '\r');
    return carriageReturn < 0 ? until : carriageReturn;
  }

  private static boolean isAt(ByteBuf in, int at, int end, byte[] text) {
    if (end - at < text.length) {
      return false;
    }
    for (int i = 0; i < text.length; i++) {
      if (in.getByte(at + i) != text[i]) {
        return false;
      }
    }
    return true;
  }

  /** Reads a chunk; whether it brings nothing but the usage. */
  private boolean parse(ByteBuf data) {
    boolean hasUsage = false;
    boolean hasChoices = false;
    try (JsonParser parser = JsonSource.of(data, data.readableBytes()).parser()) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return false;
      }
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = parser.currentName();
        JsonToken value = parser.nextToken();
        if (name.equals("usage") && value == JsonToken.START_OBJECT) {
          usage.read(parser);
          hasUsage = true;
        } else if (name.equals("choices") && value == JsonToken.START_ARRAY) {
          while (parser.nextToken() == JsonToken.START_OBJECT) {
            hasChoices = true;
            choice(parser);
          }
        } else {
          parser.skipChildren();
        }
      }
    } catch (JacksonException e) { // not ours to judge
      return false;
    }
    return hasUsage && !hasChoices;
  }

  private void choice(JsonParser parser) {
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      if (name.equals("delta") && value == JsonToken.START_OBJECT) {
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
          boolean isContent = parser.currentName().equals("content");
          if (parser.nextToken() == JsonToken.VALUE_STRING && isContent) {
            append(parser.getString());
          } else {
            parser.skipChildren();
          }
        }
      } else if (name.equals("text") && value == JsonToken.VALUE_STRING) {
        append(parser.getString());
      } else if (name.equals("finish_reason") && value == JsonToken.VALUE_STRING) {
        finishReason = parser.getString();
      } else {
        parser.skipChildren();
      }
    }
  }

  private void append(String text) {
    int room = mostText - answer.length();
    if (text.length() > room) {
      isCut = mostText > 0;
    }
    answer.append(text, 0, Math.min(Math.max(0, room), text.length()));
  }

  Usage usage() {
    return usage;
  }

  /** The text of all choices, as it came. */
  String answer() {
    return answer.toString();
  }

  /** Whether the text was longer. */
  boolean isCut() {
    return isCut;
  }

  /** Why generation ended; empty if nobody said, or nobody asked. */
  String finishReason() {
    return finishReason;
  }

  /** How many events with data came, but for the one that says that it is done. */
  int events() {
    return events;
  }

  long firstNanos() {
    return firstNanos;
  }

  long lastNanos() {
    return lastNanos;
  }

  /** Whether the stream said that it is complete. */
  boolean isDone() {
    return done;
  }

  /** Whether it told of an error. */
  boolean isFailed() {
    return failed;
  }

  /** The tokens of a request and its answer. */
  static final class Usage {
    private long input = -1;
    private long output = -1;

    /** Reads the object that {@code parser} stands at, and leaves it at its end. */
    void read(JsonParser parser) {
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = parser.currentName();
        JsonToken value = parser.nextToken();
        if (value == JsonToken.VALUE_NUMBER_INT) {
          switch (name) {
            case "prompt_tokens", "input_tokens" -> input = parser.getLongValue();
            case "completion_tokens", "output_tokens" -> output = parser.getLongValue();
            default -> {}
          }
        } else {
          parser.skipChildren();
        }
      }
    }

    /** Reads it out of a whole answer; leaves it as it is if there is none. */
    void readFrom(ByteBuf answer) {
      int at = StreamObserver.usage(answer, answer.readerIndex(), answer.writerIndex());
      if (at < 0) {
        return;
      }
      ByteBuf object = answer.slice(at, answer.writerIndex() - at);
      try (JsonParser parser = JsonSource.of(object, object.readableBytes()).parser()) {
        parser.nextToken();
        read(parser);
      } catch (JacksonException e) {
        // The client will see what it is.
      }
    }

    /** Tokens of the request; negative if unknown. */
    long input() {
      return input;
    }

    /** Tokens of the answer; negative if unknown. */
    long output() {
      return output;
    }

    /** As JSON; null if nothing is known. */
    @Nullable String json() {
      return input < 0 && output < 0
          ? null
          : "{\"prompt_tokens\":%d,\"completion_tokens\":%d}"
              .formatted(Math.max(0, input), Math.max(0, output));
    }
  }
}
