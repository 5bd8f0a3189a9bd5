package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;
import dev.millrace.server.memory.MemoryRange;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Parses the members of {@code outputs}, one after the other. */
final class OutputParser {
  private static final int NONE = -1;

  private final JsonParser parser;
  private final List<String> names = new ArrayList<>(4);
  private final OutputOptions.Builder options = new OutputOptions.Builder();
  private List<String> binary = List.of();

  // The output that is being parsed.
  private boolean isBinary;
  private long classes;
  private @Nullable String region;
  private long offset;
  private long size;

  OutputParser(JsonParser parser) {
    this.parser = parser;
  }

  /** The outputs asked for, in order. */
  List<String> names() {
    return names;
  }

  /** Those that go back as binary. */
  List<String> binary() {
    return binary;
  }

  /** What is to be done to them. */
  OutputOptions options() {
    return options.build();
  }

  /** Parses one output, at whose start the parser is. */
  void parse() {
    isBinary = false;
    classes = 0;
    region = null;
    offset = 0;
    size = NONE;
    String output = null;
    for (String member = parser.nextName(); member != null; member = parser.nextName()) {
      JsonToken value = parser.nextToken();
      switch (member) {
        case "name" -> output = JsonValues.string(parser, member, value);
        case "parameters" -> {
          if (value != JsonToken.VALUE_NULL) {
            parseParameters(value);
          }
        }
        default -> parser.skipChildren();
      }
    }
    JsonValues.requireObjectEnd(parser);
    if (output == null) {
      throw RequestParser.missing("outputs", "name");
    }
    add(output);
  }

  private void parseParameters(JsonToken value) {
    JsonValues.require(value == JsonToken.START_OBJECT, "parameters", "object");
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken token = parser.nextToken();
      switch (name) {
        case "binary_data" -> isBinary = JsonValues.bool(name, token);
        case "classification" -> classes = JsonValues.whole(parser, name, token);
        case "shared_memory_region" -> region = JsonValues.string(parser, name, token);
        case "shared_memory_offset" -> offset = JsonValues.size(parser, name, token);
        case "shared_memory_byte_size" -> size = JsonValues.size(parser, name, token);
        default -> parser.skipChildren();
      }
    }
    JsonValues.requireObjectEnd(parser);
  }

  private void add(String output) {
    if (names.contains(output)) {
      throw InferenceException.invalidArgument(
          "output '%s' already exists in request".formatted(output));
    }
    names.add(output);
    options.classes(output, classes);
    String where = region;
    if (where != null) {
      options.place(output, range(output, where, offset, size));
    }
    if (isBinary) {
      if (binary.isEmpty()) {
        binary = new ArrayList<>(4);
      }
      binary.add(output);
    }
  }

  /** The range that parameters name; a negative size is one that is not there. */
  static MemoryRange range(String tensor, String region, long offset, long size) {
    if (size < 0) {
      throw InferenceException.invalidArgument(
          "'shared_memory_byte_size' must be specified along with 'shared_memory_region' for '%s'"
              .formatted(tensor));
    }
    return new MemoryRange(region, offset, size);
  }
}
