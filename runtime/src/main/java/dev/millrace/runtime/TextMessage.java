package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A message that {@link TextProto} read, and what of it nobody has asked for. Errors name the file,
 * the line and the field. Not thread-safe.
 */
final class TextMessage implements TextValue {
  private final Path file;
  private final int line;
  private final String prefix;
  private final Map<String, List<TextValue>> fields = new LinkedHashMap<>();
  private final Set<String> read = new HashSet<>();

  /**
   * An empty message.
   *
   * @param prefix its own name and those of the messages it is in, each with a dot
   */
  TextMessage(Path file, int line, String prefix) {
    this.file = file;
    this.line = line;
    this.prefix = prefix;
  }

  @Override
  public int line() {
    return line;
  }

  /** The file and the line. */
  String place() {
    return file + ":" + line;
  }

  String path(String name) {
    return prefix + name + ".";
  }

  void add(String name, TextValue value) {
    fields.computeIfAbsent(name, key -> new ArrayList<>()).add(value);
  }

  private List<TextValue> values(String name) {
    read.add(name);
    return fields.getOrDefault(name, List.of());
  }

  private Optional<TextValue> value(String name) {
    List<TextValue> values = values(name);
    if (values.size() > 1) {
      throw bad(name, values.get(1), "one value", "a second one");
    }
    return values.stream().findFirst();
  }

  private String text(String name, TextValue value) {
    return switch (value) {
      case TextValue.Scalar(var _, String text) -> text;
      case TextMessage _ -> throw bad(name, value, "a value", "a message");
    };
  }

  private TextMessage message(String name, TextValue value) {
    return switch (value) {
      case TextMessage message -> message;
      case TextValue.Scalar(var _, String text) ->
          throw bad(name, value, "a message in braces", text);
    };
  }

  boolean has(String name) {
    return fields.containsKey(name);
  }

  /** The text, or the word, of a field; empty if it is not there, or says nothing. */
  Optional<String> text(String name) {
    return value(name).map(value -> text(name, value)).filter(text -> !text.isEmpty());
  }

  Optional<Boolean> bool(String name) {
    return value(name)
        .map(value ->
            switch (text(name, value).toLowerCase(Locale.ROOT)) {
              case "true", "t", "1" -> true;
              case "false", "f", "0" -> false;
              default -> throw bad(name, value, "true or false", text(name, value));
            });
  }

  Optional<Integer> integer(String name, int min, int max) {
    return value(name).map(value -> (int) number(name, value, min, max));
  }

  /** The whole numbers of a repeated field. */
  List<Long> integers(String name, long min, long max) {
    return values(name).stream().map(value -> number(name, value, min, max)).toList();
  }

  private long number(String name, TextValue value, long min, long max) {
    String text = text(name, value);
    try {
      long number = Long.decode(text);
      if (number >= min && number <= max) {
        return number;
      }
    } catch (NumberFormatException e) {
      // said below
    }
    throw bad(name, value, "a whole number from %d to %d".formatted(min, max), text);
  }

  Optional<TextMessage> message(String name) {
    return value(name).map(value -> message(name, value));
  }

  List<TextMessage> messages(String name) {
    return values(name).stream().map(value -> message(name, value)).toList();
  }

  /** The values of a field that is a map to messages, by key. */
  Map<String, TextMessage> map(String name) {
    Map<String, TextMessage> map = new LinkedHashMap<>();
    for (TextMessage entry : messages(name)) {
      String key = entry.text("key").orElse("");
      TextMessage value =
          entry.message("value").orElseGet(() -> new TextMessage(file, entry.line, entry.prefix));
      if (map.put(key, value) != null) {
        throw bad(name, entry, "different keys", key + "' twice");
      }
    }
    return map;
  }

  /** These fields as keys and values, for who reads settings; a repeated one is a list. */
  Map<String, Object> toMap(Collection<String> names) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (String name : names) {
      List<Object> values = new ArrayList<>();
      for (TextValue value : values(name)) {
        values.add(
            switch (value) {
              case TextValue.Scalar(var _, String text) -> text;
              case TextMessage message -> message.toMap(message.fields.keySet());
            });
      }
      if (!values.isEmpty()) {
        map.put(name, values.size() == 1 ? values.getFirst() : values);
      }
    }
    return map;
  }

  /** The fields, here and in the messages that were asked for, that nobody has asked for. */
  List<String> unread() {
    List<String> unread = new ArrayList<>();
    fields.forEach((name, values) -> {
      if (!read.contains(name)) {
        unread.add("%s%s (line %d)".formatted(prefix, name, values.getFirst().line()));
      } else {
        for (TextValue value : values) {
          if (value instanceof TextMessage message) {
            unread.addAll(message.unread());
          }
        }
      }
    });
    return unread;
  }

  /** The error for the first value of a field. */
  InferenceException bad(String name, String expected) {
    TextValue value = fields.getOrDefault(name, List.of(this)).getFirst();
    return bad(
        name,
        value,
        expected,
        switch (value) {
          case TextValue.Scalar(var _, String text) -> text;
          case TextMessage message -> message == this ? "" : "{…}";
        });
  }

  private InferenceException bad(String name, TextValue value, String expected, String got) {
    return InferenceException.invalidArgument(
        "%s:%d: %s%s: expected %s, got '%s'"
            .formatted(file, value.line(), prefix, name, expected, got));
  }
}
