package dev.millrace.server.v1;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.v2.RequestLimits;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Parses one {@code predict} request. Members may come in any order, unknown ones are skipped, and
 * what follows the object is not looked at.
 */
final class PredictParser implements AutoCloseable {
  private final String id;

  /** What stands before the names of rows that only the model knows. */
  private final String prefix;

  private final ModelId model;
  private final Signature signature;
  private final ModelMetadata metadata;
  private final JsonSource source;
  private final JsonParser parser;
  private final InputCollectors<TensorCollector> collectors;
  private final Map<String, Object> others = new LinkedHashMap<>();
  private Parameters parameters = Parameters.empty();
  private @Nullable AnswerForm form;
  private @Nullable TensorMap inputs;

  PredictParser(String id, String prefix, ModelId model, Signature signature, JsonSource source) {
    this.id = id;
    this.prefix = prefix;
    this.model = model;
    this.signature = signature;
    this.metadata = signature.metadata();
    this.source = source;
    try {
      this.parser = source.parser();
    } catch (JacksonException e) { // it begins as no encoding of a text does
      throw V1Errors.malformed(e);
    }
    this.collectors =
        new InputCollectors<>(metadata.inputs(), TensorCollector::new, source.length());
  }

  PredictRequest parse() {
    try {
      parseMembers();
    } catch (JacksonException e) {
      throw V1Errors.malformed(e);
    }
    TensorMap tensors = inputs;
    if (form == null || tensors == null) {
      throw InferenceException.invalidArgument("Missing 'inputs' or 'instances' key");
    }
    InferenceRequest request =
        new InferenceRequest(id, model, tensors, List.of(), allParameters(), Deadline.none());
    inputs = null;
    return new PredictRequest(signature.address(request), form);
  }

  private void parseMembers() {
    V1Json.begin(parser);
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = V1Json.next(parser);
      switch (name) {
        case "signature_name" -> signature.require(V1Json.signatureName(parser, value));
        case "parameters" -> parameters = V1Json.parameters(parser, value, source);
        case "instances" -> {
          requireFirst();
          parseInstances(value);
        }
        case "inputs" -> {
          requireFirst();
          parseInputs(value);
        }
        default -> parseOther(name, value);
      }
    }
    if (parser.currentToken() != JsonToken.END_OBJECT) {
      throw V1Errors.truncated(source.length());
    }
  }

  /** A member that only the model may know: a parameter, if it is a plain value. */
  private void parseOther(String name, JsonToken value) {
    if (metadata.inputs().isEmpty() && value.isScalarValue() && value != JsonToken.VALUE_NULL) {
      others.put(name, V1Json.scalar(parser, value));
      RequestLimits.checkCount("parameters", others.size());
    } else {
      parser.skipChildren();
    }
  }

  private Parameters allParameters() {
    if (others.isEmpty()) {
      return parameters;
    }
    others.putAll(parameters.asMap());
    return Parameters.copyOf(others);
  }

  private void requireFirst() {
    if (form != null) {
      throw InferenceException.invalidArgument(
          "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist");
    }
  }

  private void parseInstances(JsonToken value) {
    if (value != JsonToken.START_ARRAY
        && (value != JsonToken.START_OBJECT || !metadata.inputs().isEmpty())) {
      throw V1Errors.wrongValue(parser, value, "Expecting 'instances' to be an list/array");
    }
    if (metadata.inputs().isEmpty()) {
      parseTexts("instances", value);
      return;
    }
    form = AnswerForm.ROWS;
    RowParser rows = new RowParser(parser, collectors);
    for (JsonToken row = V1Json.next(parser);
        row != JsonToken.END_ARRAY;
        row = V1Json.next(parser)) {
      rows.parse(row);
    }
    if (rows.count() == 0) {
      throw noValues("instances");
    }
    inputs = collectors.toTensors(TensorCollector::stacked);
  }

  private static InferenceException noValues(String member) {
    return InferenceException.invalidArgument("No values in '%s' array".formatted(member));
  }

  private void parseInputs(JsonToken value) {
    if (metadata.inputs().isEmpty()) {
      if (value != JsonToken.START_ARRAY && value != JsonToken.START_OBJECT) {
        throw InferenceException.invalidArgument("Expected \"inputs\" to be a list");
      }
      parseTexts("inputs", value);
      return;
    }
    form = AnswerForm.COLUMNS;
    new ColumnParser(parser, collectors).parse(value);
    inputs = collectors.toTensors(TensorCollector::toTensor);
  }

  private void parseTexts(String member, JsonToken value) {
    form = AnswerForm.TEXTS;
    TensorMap texts = TextRows.read(prefix + member, parser, value, source);
    inputs = texts;
    if (texts.tensor(0).elementCount() == 0) {
      throw noValues(member);
    }
  }

  /** Frees what was read and not handed out. */
  @Override
  public void close() {
    collectors.close();
    if (inputs != null) {
      inputs.close();
    }
    parser.close();
  }
}
