package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Parses {@code inputs}: the only input, or an object with a tensor for each. */
final class ColumnParser {
  private final JsonParser parser;
  private final InputCollectors<TensorCollector> collectors;

  ColumnParser(JsonParser parser, InputCollectors<TensorCollector> collectors) {
    this.parser = parser;
    this.collectors = collectors;
  }

  /** Parses the value at whose start the parser is. */
  void parse(JsonToken value) {
    TensorCollector sole = collectors.sole();
    if (value == JsonToken.START_OBJECT) {
      String first = parser.nextName();
      if (first != null && sole != null && sole.isBase64(first)) {
        sole.addBase64Value(parser, first);
      } else {
        parseNamed(first);
      }
    } else if (sole != null) {
      sole.add(parser, value);
    } else {
      throw InferenceException.invalidArgument(
          "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map");
    }
  }

  private void parseNamed(@Nullable String first) {
    for (String name = first; name != null; name = parser.nextName()) {
      JsonToken value = V1Json.next(parser);
      TensorCollector column = collectors.find(name);
      if (column == null) {
        parser.skipChildren();
      } else if (column.values() > 0) {
        throw InferenceException.invalidArgument(
            "input '%s' is twice in 'inputs' object.".formatted(name));
      } else {
        column.add(parser, value);
      }
    }
    String missing = collectors.incomplete(1);
    if (missing != null) {
      throw InferenceException.invalidArgument(
          "Missing named input: %s in 'inputs' object.".formatted(missing));
    }
  }
}
