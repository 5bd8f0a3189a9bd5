package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Parses the elements of {@code instances}: values of the only input, or objects with a value for
 * each.
 */
final class RowParser {
  private final JsonParser parser;
  private final InputCollectors<TensorCollector> collectors;

  /** Whether rows are objects; the first one decides. */
  private boolean named;

  private int count;

  RowParser(JsonParser parser, InputCollectors<TensorCollector> collectors) {
    this.parser = parser;
    this.collectors = collectors;
  }

  /** How many rows there were. */
  int count() {
    return count;
  }

  /** Parses one row, at whose start the parser is. */
  void parse(JsonToken row) {
    if (row == JsonToken.START_OBJECT) {
      String first = parser.nextName();
      TensorCollector sole = collectors.sole();
      if (first != null && sole != null && sole.isBase64(first)) {
        parsePlain(row, first);
      } else {
        requireNamed();
        parseNamed(first);
      }
    } else {
      parsePlain(row, null);
    }
    count++;
  }

  /**
   * @param base64 first member of an object that stands for a text; null for any other value
   */
  private void parsePlain(JsonToken row, @Nullable String base64) {
    TensorCollector sole = requirePlain();
    try {
      if (base64 == null) {
        sole.add(parser, row);
      } else {
        sole.addBase64Value(parser, base64);
      }
    } catch (InferenceException e) {
      throw V1Errors.within(
          "Failed to process element: %d of 'instances' list.".formatted(count), e);
    }
  }

  private TensorCollector requirePlain() {
    if (named) {
      throw InferenceException.invalidArgument(
          "Expecting object but got list at item %d of input list".formatted(count));
    }
    TensorCollector sole = collectors.sole();
    if (sole == null) {
      throw InferenceException.invalidArgument(
          "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map");
    }
    return sole;
  }

  private void requireNamed() {
    if (count == 0) {
      named = true;
    } else if (!named) {
      throw InferenceException.invalidArgument(
          "Expecting value/list but got object at item %d of input list".formatted(count));
    }
  }

  private void parseNamed(@Nullable String first) {
    for (String name = first; name != null; name = parser.nextName()) {
      try {
        parseColumn(name, V1Json.next(parser));
      } catch (InferenceException e) {
        throw V1Errors.within(
            "Failed to process element: %d key: %s of 'instances' list."
                .formatted(count, V1Errors.shortened(name)),
            e);
      }
    }
    requireAll();
  }

  private void parseColumn(String name, JsonToken value) {
    TensorCollector column = collectors.find(name);
    if (column == null) {
      throw InferenceException.invalidArgument(
          "JSON object: does not have named input: " + V1Errors.shortened(name));
    }
    if (column.values() > count) {
      throw InferenceException.invalidArgument("the key is there twice");
    }
    column.add(parser, value);
  }

  /** Checks that the row has what all before it have, and what the model cannot do without. */
  private void requireAll() {
    if (collectors.incomplete(count + 1) != null) {
      throw InferenceException.invalidArgument(
          "Failed to process element: %d of 'instances' list. JSON object: keys must be equal to: %s"
              .formatted(count, collectors.names()));
    }
  }
}
