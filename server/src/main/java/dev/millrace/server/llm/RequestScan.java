package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.InferenceException;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.CompositeByteBuf;
import io.netty.buffer.Unpooled;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * What relaying needs to know of a request's body, read in one pass, and where it stands in it.
 * Everything else is only skipped: its bytes go on as they are.
 */
final class RequestScan {
  private static final String STREAM_OPTIONS = "\"stream_options\":";
  private static final String INCLUDE_USAGE = "\"include_usage\":true";

  private static final String LINE_END = "\r\n";

  private static final String FIELD_HEAD =
      "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";

  /** Most bytes of a form's line that are looked at, and of what stands before a field's value. */
  private static final int LONGEST_LINE = 1 << 10;

  private static final int LONGEST_HEAD = 4 << 10;

  /** Not a file that is called so, as in {@code filename="model"}. */
  private static final Pattern MODEL_FIELD =
      Pattern.compile("(?im)^content-disposition:[^\\r\\n]*;\\s*name=(\"model\"|model)\\s*(;|$)");

  private String model = "";
  private int modelStart = -1;
  private int modelEnd = -1;
  private boolean stream;
  private boolean asksForUsage;
  private @Nullable String user;
  private @Nullable String session;
  private @Nullable String previousResponse;
  private int promptStart;
  private int promptEnd;

  /** Behind the brace that opens the body, or the stream options. */
  private int bodyStart;

  /** What stands before each field of a form; null if it is none. */
  private @Nullable String formLine;

  private boolean bodyIsEmpty = true;
  private int optionsStart = -1;

  /** Where something else than an object is in the place of the options. */
  private int noOptionsStart = -1;

  private int noOptionsEnd = -1;
  private boolean optionsAreEmpty = true;
  private int includeUsageStart = -1;
  private int includeUsageEnd = -1;

  private RequestScan() {}

  /**
   * Reads a JSON body, which stays the caller's.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is not an object in JSON
   */
  static RequestScan of(ByteBuf body) {
    if (!body.isReadable()) {
      throw InferenceException.invalidArgument("the request has no body; expected a JSON object");
    }
    RequestScan scan = new RequestScan();
    try (JsonParser parser = JsonSource.of(body, body.readableBytes()).parser()) {
      scan.read(parser);
      return scan;
    } catch (JacksonException e) {
      throw InferenceException.invalidArgument(
          "the request's body is not JSON: %s, at byte %d"
              .formatted(JsonSource.problem(e), JsonSource.offset(e)));
    }
  }

  /**
   * What a form ({@code multipart/form-data}) with a field {@code model} says. Its first line is
   * what stands between its fields.
   */
  static RequestScan ofForm(ByteBuf body) {
    RequestScan scan = new RequestScan();
    int firstLine = indexOf(body, LINE_END, 0);
    if (firstLine <= 2 || firstLine > LONGEST_LINE || indexOf(body, "--", 0) != 0) {
      return scan;
    }
    String line = body.toString(body.readerIndex(), firstLine, UTF_8).stripTrailing();
    scan.formLine = line;
    int head = firstLine;
    while (head >= 0) {
      int value = indexOf(body, LINE_END + LINE_END, head);
      int end = value < 0 ? -1 : indexOf(body, LINE_END + line, value + 2);
      if (end < 0) {
        return scan;
      }
      value += 4;
      boolean isModel =
          value - head <= LONGEST_HEAD
              && MODEL_FIELD
                  .matcher(body.toString(body.readerIndex() + head, value - head, UTF_8))
                  .find();
      if (isModel && end >= value && end - value <= LONGEST_LINE) {
        scan.model = body.toString(body.readerIndex() + value, end - value, UTF_8).strip();
        scan.modelStart = value;
        scan.modelEnd = end;
        return scan;
      }
      head = end + 2 + line.length();
    }
    return scan;
  }

  private static int indexOf(ByteBuf body, String text, int from) {
    ByteBuf wanted = Unpooled.wrappedBuffer(text.getBytes(UTF_8));
    ByteBuf rest = body.slice(body.readerIndex() + from, body.readableBytes() - from);
    int found = ByteBufUtil.indexOf(wanted, rest);
    return found < 0 ? -1 : found + from;
  }

  private void read(JsonParser parser) {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw InferenceException.invalidArgument("the request's body is not a JSON object");
    }
    bodyStart = start(parser) + 1;
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      bodyIsEmpty = false;
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (name) {
        case "model" -> {
          if (value != JsonToken.VALUE_STRING && value != JsonToken.VALUE_NULL) {
            throw InferenceException.invalidArgument("'model' is not a string");
          }
          modelStart = start(parser);
          model = value == JsonToken.VALUE_NULL ? "" : parser.getString();
          modelEnd = end(parser);
        }
        case "stream" -> stream = value == JsonToken.VALUE_TRUE;
        case "user" -> user = text(parser, value);
        case "previous_response_id" -> previousResponse = text(parser, value);
        case "session_id" -> session = text(parser, value);
        case "stream_options" -> options(parser, value);
        case "messages", "prompt", "input" -> {
          promptStart = start(parser);
          parser.skipChildren();
          if (value == JsonToken.VALUE_STRING) {
            parser.finishToken();
          }
          promptEnd = end(parser);
        }
        default -> parser.skipChildren();
      }
    }
    if (parser.nextToken() != null) {
      throw InferenceException.invalidArgument(
          "the request's body has something after its JSON object");
    }
  }

  private void options(JsonParser parser, JsonToken value) {
    optionsStart = -1;
    noOptionsStart = -1;
    asksForUsage = false;
    includeUsageStart = -1;
    if (value != JsonToken.START_OBJECT) {
      noOptionsStart = start(parser);
      parser.skipChildren();
      noOptionsEnd = end(parser);
      return;
    }
    optionsStart = start(parser) + 1;
    optionsAreEmpty = true;
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      optionsAreEmpty = false;
      boolean isUsage = parser.currentName().equals("include_usage");
      JsonToken option = parser.nextToken();
      if (isUsage) {
        includeUsageStart = start(parser);
        asksForUsage = option == JsonToken.VALUE_TRUE;
        includeUsageEnd = end(parser);
      }
      parser.skipChildren();
    }
  }

  private static @Nullable String text(JsonParser parser, JsonToken value) {
    if (value == JsonToken.VALUE_STRING) {
      return parser.getString();
    }
    parser.skipChildren();
    return null;
  }

  private static int start(JsonParser parser) {
    return (int) parser.currentTokenLocation().getByteOffset();
  }

  private static int end(JsonParser parser) {
    return (int) parser.currentLocation().getByteOffset();
  }

  /** The model's name; empty if none is given. */
  String model() {
    return model;
  }

  /** Whether the answer shall be a stream. */
  boolean isStream() {
    return stream;
  }

  /** Whether the client wants to know the tokens of a stream itself. */
  boolean asksForUsage() {
    return asksForUsage;
  }

  /** Whose session it is, by the body; null if it does not say. */
  @Nullable String session() {
    return session == null ? user : session;
  }

  /** The response that this one goes on from; null if there is none. */
  @Nullable String previousResponse() {
    return previousResponse;
  }

  /** A number that prompts share that begin with the same bytes. */
  int prefixHash(ByteBuf body, int mostBytes) {
    int[] hash = {1};
    int size = Math.min(promptEnd - promptStart, mostBytes);
    body.forEachByte(
        body.readerIndex() + promptStart,
        size,
        b -> {
          hash[0] = 31 * hash[0] + b;
          return true;
        });
    return hash[0];
  }

  /** One change: the bytes from {@code start} to {@code end} become {@code text}. */
  private record Edit(int start, int end, String text) {}

  /**
   * The body as the upstream gets it: itself, or with another model or a wish for usage in it.
   *
   * @param body what was scanned; it stays the caller's
   * @param name what the model is called there; null to leave the name as it is
   * @param usage whether to ask for the usage of the stream
   * @return the caller's
   */
  ByteBuf edited(ByteBuf body, @Nullable String name, boolean usage, ByteBufAllocator allocator) {
    List<Edit> edits = new ArrayList<>(2);
    if (name != null && !name.equals(model)) {
      if (modelStart >= 0) {
        edits.add(new Edit(modelStart, modelEnd, formLine == null ? quoted(name) : name));
      } else if (formLine != null) {
        edits.add(new Edit(0, 0, formLine + FIELD_HEAD + name + LINE_END));
      } else if (bodyStart > 0) {
        edits.add(insert(bodyStart, "\"model\":" + quoted(name), bodyIsEmpty));
      }
    }
    if (usage && bodyStart > 0) {
      if (includeUsageStart >= 0) {
        edits.add(new Edit(includeUsageStart, includeUsageEnd, "true"));
      } else if (optionsStart >= 0) {
        edits.add(insert(optionsStart, INCLUDE_USAGE, optionsAreEmpty));
      } else if (noOptionsStart >= 0) {
        edits.add(new Edit(noOptionsStart, noOptionsEnd, "{" + INCLUDE_USAGE + "}"));
      } else {
        edits.add(insert(bodyStart, STREAM_OPTIONS + "{" + INCLUDE_USAGE + "}", false));
      }
    }
    if (edits.isEmpty()) {
      return body.retainedSlice();
    }
    edits.sort(Comparator.comparingInt(Edit::start));
    CompositeByteBuf edited = allocator.compositeDirectBuffer(2 * edits.size() + 1);
    int base = body.readerIndex();
    int at = 0;
    for (Edit edit : edits) {
      add(edited, body.retainedSlice(base + at, edit.start() - at));
      add(edited, Unpooled.wrappedBuffer(edit.text().getBytes(UTF_8)));
      at = edit.end();
    }
    add(edited, body.retainedSlice(base + at, body.readableBytes() - at));
    return edited;
  }

  private static void add(CompositeByteBuf to, ByteBuf part) {
    to.addComponent(true, part);
  }

  private static Edit insert(int at, String member, boolean isOnly) {
    return new Edit(at, at, isOnly ? member : member + ",");
  }

  private static String quoted(String text) {
    ByteBuf out = Unpooled.buffer(text.length() + 2);
    JsonWriter.to(out).string(text).finish();
    return out.toString(UTF_8);
  }
}
