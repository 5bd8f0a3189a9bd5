package dev.millrace.server.v2;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.memory.SharedMemory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.exc.InputCoercionException;

/**
 * Parses one request. Members may come in any order; unknown ones are skipped; null stands for a
 * member that is not there.
 */
final class RequestParser implements AutoCloseable {
  private final ModelId model;
  private final JsonSource source;
  private final BinaryInputs binary;
  private final SharedMemory memory;
  private final TensorMap.Builder inputs = TensorMap.builder();
  private final JsonParser parser;
  private String id = "";
  private Parameters parameters = Parameters.empty();
  private boolean allBinary;
  private List<String> outputs = List.of();
  private List<String> binaryOutputs = List.of();
  private OutputOptions options = OutputOptions.none();

  RequestParser(ModelId model, JsonSource source, BinaryInputs binary, SharedMemory memory) {
    this.model = model;
    this.source = source;
    this.binary = binary;
    this.memory = memory;
    try {
      this.parser = source.parser();
    } catch (JacksonException e) { // it begins as no encoding of a text does
      throw JsonValues.malformed(e);
    }
  }

  V2Request parse() {
    try {
      parseRequest();
    } catch (InputCoercionException e) {
      throw InferenceException.invalidArgument(
          "failed to parse the request JSON buffer: " + e.getOriginalMessage());
    } catch (JacksonException e) {
      throw JsonValues.malformed(e);
    }
    binary.requireEnd();
    OutputEncoding encoding =
        outputs.isEmpty()
            ? (allBinary ? OutputEncoding.binary() : OutputEncoding.json())
            : binaryOutputs.isEmpty()
                ? OutputEncoding.json()
                : new OutputEncoding(false, binaryOutputs);
    return new V2Request(
        new InferenceRequest(id, model, inputs.build(), outputs, parameters, Deadline.none()),
        encoding,
        options);
  }

  private void parseRequest() {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw JsonValues.malformed("expected an object", 0);
    }
    boolean inputsSeen = false;
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = parser.nextToken();
      switch (name) {
        case "id" -> id = id(value);
        case "parameters" -> parameters = parameters(value);
        case "inputs" -> {
          inputsSeen = true;
          parseInputs();
        }
        case "outputs" -> parseOutputs(value);
        default -> parser.skipChildren();
      }
    }
    requireObjectEnd();
    if (parser.nextToken() != null) {
      throw JsonValues.malformed(
          "there is more behind the object", parser.currentTokenLocation().getByteOffset());
    }
    if (!inputsSeen) {
      throw missing("inputs", "inputs");
    }
  }

  private void requireObjectEnd() {
    if (parser.currentToken() != JsonToken.END_OBJECT) {
      throw JsonValues.malformed("the object does not end", source.length());
    }
  }

  private String id(JsonToken value) {
    if (value == JsonToken.VALUE_NULL) {
      return "";
    }
    String text = string("id", value);
    RequestLimits.checkId(text);
    return text;
  }

  private Parameters parameters(JsonToken value) {
    if (value == JsonToken.VALUE_NULL) {
      return Parameters.empty();
    }
    requireObject("parameters", value);
    Map<String, Object> values = null;
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken token = parser.nextToken();
      if (name.equals("binary_data_output")) {
        allBinary = bool(name, token);
      } else if (name.startsWith("triton_")) {
        throw InferenceException.invalidArgument(
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.");
      } else if (token != JsonToken.VALUE_NULL) {
        if (values == null) {
          values = new LinkedHashMap<>();
        }
        values.put(name, parameter(name, token));
        RequestLimits.checkCount("parameters", values.size());
      }
    }
    requireObjectEnd();
    return values == null ? Parameters.empty() : Parameters.copyOf(values);
  }

  private Object parameter(String name, JsonToken token) {
    return switch (token) {
      case VALUE_STRING -> parser.getString();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      case VALUE_NUMBER_INT -> unsigned(name, token);
      default ->
          throw InferenceException.invalidArgument(
              "parameter '%s' must be a string, a boolean or a number".formatted(name));
    };
  }

  private void parseInputs() {
    requireArray("inputs", parser.currentToken());
    InputParser input = new InputParser(model.name(), parser, source, binary, memory, inputs);
    for (JsonToken token = parser.nextToken();
        token != JsonToken.END_ARRAY;
        token = parser.nextToken()) {
      requireObject("inputs", token);
      input.parse();
      RequestLimits.checkCount("inputs", inputs.size());
    }
  }

  private void parseOutputs(JsonToken value) {
    if (value == JsonToken.VALUE_NULL) {
      return;
    }
    requireArray("outputs", value);
    OutputParser output = new OutputParser(parser);
    for (JsonToken token = parser.nextToken();
        token != JsonToken.END_ARRAY;
        token = parser.nextToken()) {
      requireObject("outputs", token);
      output.parse();
      RequestLimits.checkCount("outputs", output.names().size());
    }
    outputs = List.copyOf(output.names());
    binaryOutputs = output.binary();
    options = output.options();
  }

  private String string(String member, JsonToken token) {
    return JsonValues.string(parser, member, token);
  }

  private boolean bool(String member, JsonToken token) {
    return JsonValues.bool(member, token);
  }

  private long unsigned(String member, JsonToken token) {
    return JsonValues.whole(parser, member, token);
  }

  private void requireObject(String member, JsonToken token) {
    JsonValues.require(token == JsonToken.START_OBJECT, member, "object");
  }

  private void requireArray(String member, JsonToken token) {
    JsonValues.require(token == JsonToken.START_ARRAY, member, "array");
  }

  static InferenceException missing(String where, String member) {
    return InferenceException.invalidArgument(
        "Unable to parse '%s': attempt to access non-existing object member '%s'"
            .formatted(where, member));
  }

  /** Closes what was read and not handed out. */
  @Override
  public void close() {
    inputs.close();
    parser.close();
  }
}
