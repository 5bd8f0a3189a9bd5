package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Reads a file in the text format of protobuf, without knowing its schema; of bounded length, depth
 * and number of fields.
 *
 * <p>Source of the format: "Text Format Language Specification" of Protocol Buffers. Extensions and
 * {@code Any} in brackets are not read.
 */
final class TextProto {
  private static final int MAX_LENGTH = 1 << 20;
  private static final int MAX_DEPTH = 32;
  private static final int MAX_FIELDS = 100_000;

  private final Path file;
  private final String text;
  private int position;
  private int line = 1;
  private int fields;

  private TextProto(Path file, String text) {
    this.file = file;
    this.text = text;
  }

  /**
   * The message in a file.
   *
   * @throws InferenceException INVALID_ARGUMENT that names the file and the line
   */
  static TextMessage read(Path file) {
    String text;
    try {
      if (Files.size(file) > MAX_LENGTH) {
        throw bad(file + ": the file is longer than %d bytes".formatted(MAX_LENGTH), null);
      }
      text = Files.readString(file);
    } catch (IOException e) {
      throw bad(file + ": cannot be read as text: " + e, e);
    }
    return parse(file, text);
  }

  /** As {@link #read}, of a text that is already there. */
  static TextMessage parse(Path file, String text) {
    TextProto parser = new TextProto(file, text);
    TextMessage message = new TextMessage(file, 1, "");
    parser.fields(message, 0, '\0');
    return message;
  }

  /** The fields up to {@code end}, which is passed over. */
  private void fields(TextMessage message, int depth, char end) {
    while (true) {
      char next = peek();
      if (next == end) {
        position += end == '\0' ? 0 : 1;
        return;
      }
      if (next == '\0') {
        throw bad(
            "the file ends before the '%c' of the message in line %d"
                .formatted(end, message.line()));
      }
      field(message, depth);
      if (peek() == ',' || peek() == ';') {
        position++;
      }
    }
  }

  private void field(TextMessage message, int depth) {
    if (++fields > MAX_FIELDS) {
      throw bad("more than %d fields".formatted(MAX_FIELDS));
    }
    int start = line;
    String name = word("the name of a field");
    boolean colon = peek() == ':';
    if (colon) {
      position++;
    }
    if (peek() == '[') {
      position++;
      list(message, name, depth);
    } else if (peek() == '{' || peek() == '<') {
      message.add(name, message(message, name, depth, start));
    } else if (colon) {
      message.add(name, scalar());
    } else {
      throw bad("expected ':' or '{' after '%s'".formatted(name));
    }
  }

  private void list(TextMessage message, String name, int depth) {
    if (peek() == ']') {
      position++;
      return;
    }
    while (true) {
      if (++fields > MAX_FIELDS) {
        throw bad("more than %d fields".formatted(MAX_FIELDS));
      }
      boolean isMessage = peek() == '{' || peek() == '<';
      message.add(name, isMessage ? message(message, name, depth, line) : scalar());
      char next = peek();
      position++;
      if (next == ']') {
        return;
      }
      if (next != ',') {
        position--;
        throw bad("expected ',' or ']' in the list of '%s'".formatted(name));
      }
    }
  }

  private TextMessage message(TextMessage parent, String name, int depth, int start) {
    if (depth >= MAX_DEPTH) {
      throw bad("nested deeper than %d levels".formatted(MAX_DEPTH));
    }
    char end = peek() == '{' ? '}' : '>';
    position++;
    TextMessage message = new TextMessage(file, start, parent.path(name));
    fields(message, depth + 1, end);
    return message;
  }

  private TextValue.Scalar scalar() {
    int start = line;
    char next = peek();
    if (next == '"' || next == '\'') {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      while (peek() == '"' || peek() == '\'') {
        string(bytes);
      }
      return new TextValue.Scalar(start, bytes.toString(StandardCharsets.UTF_8));
    }
    boolean negative = next == '-';
    if (negative) {
      position++;
    }
    return new TextValue.Scalar(start, (negative ? "-" : "") + word("a value"));
  }

  /** One quoted string; those that follow each other are one. */
  private void string(ByteArrayOutputStream out) {
    char quote = text.charAt(position++);
    while (true) {
      char c = position < text.length() ? text.charAt(position) : '\n';
      if (c == '\n') {
        throw bad("a text is not closed by " + quote);
      }
      position++;
      if (c == quote) {
        return;
      }
      if (c == '\\') {
        escape(out);
      } else {
        int end = Character.isHighSurrogate(c) && position < text.length() ? ++position : position;
        out.writeBytes(
            text.substring(end - (Character.isHighSurrogate(c) ? 2 : 1), end)
                .getBytes(StandardCharsets.UTF_8));
      }
    }
  }

  private void escape(ByteArrayOutputStream out) {
    char c = position < text.length() ? text.charAt(position++) : '\n';
    switch (c) {
      case 'a' -> out.write(7);
      case 'b' -> out.write('\b');
      case 'f' -> out.write('\f');
      case 'n' -> out.write('\n');
      case 'r' -> out.write('\r');
      case 't' -> out.write('\t');
      case 'v' -> out.write(11);
      case '\\', '\'', '"', '?' -> out.write(c);
      case 'x', 'X' -> out.write(number(16, 2));
      case 'u' -> codePoint(out, number(16, 4));
      case 'U' -> codePoint(out, number(16, 8));
      default -> {
        if (c < '0' || c > '7') {
          throw bad("unknown escape '\\%c' in a text".formatted(c));
        }
        position--;
        out.write(number(8, 3));
      }
    }
  }

  private void codePoint(ByteArrayOutputStream out, int codePoint) {
    if (!Character.isValidCodePoint(codePoint)) {
      throw bad("there is no character U+%X".formatted(codePoint));
    }
    out.writeBytes(Character.toString(codePoint).getBytes(StandardCharsets.UTF_8));
  }

  private int number(int radix, int digits) {
    int start = position;
    int value = 0;
    while (position < text.length()
        && position - start < digits
        && Character.digit(text.charAt(position), radix) >= 0) {
      value = value * radix + Character.digit(text.charAt(position++), radix);
    }
    if (position == start) {
      throw bad("an escape in a text has no digits");
    }
    return value;
  }

  /** A name or number. */
  private String word(String expected) {
    peek();
    int start = position;
    while (position < text.length() && isWord(text.charAt(position))) {
      position++;
    }
    if (position == start) {
      throw bad(
          start < text.length()
              ? "expected %s, got '%c'".formatted(expected, text.charAt(start))
              : "expected %s, and the file ends".formatted(expected));
    }
    return text.substring(start, position);
  }

  private static boolean isWord(char c) {
    return c < 128 && (Character.isLetterOrDigit(c) || "_.+-".indexOf(c) >= 0);
  }

  /** The next character that is not space or comment; 0 at the end. */
  private char peek() {
    while (position < text.length()) {
      char c = text.charAt(position);
      if (c == '#') {
        int end = text.indexOf('\n', position);
        position = end < 0 ? text.length() : end;
      } else if (Character.isWhitespace(c)) {
        line += c == '\n' ? 1 : 0;
        position++;
      } else {
        if (c == '\0') {
          throw bad("there is a character 0");
        }
        return c;
      }
    }
    return '\0';
  }

  private InferenceException bad(String problem) {
    return bad("%s:%d: %s".formatted(file, line, problem), null);
  }

  private static InferenceException bad(String message, @Nullable Throwable cause) {
    return new InferenceException(ErrorCode.INVALID_ARGUMENT, message, cause);
  }
}
