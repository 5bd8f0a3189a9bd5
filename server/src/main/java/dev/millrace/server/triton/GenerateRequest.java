package dev.millrace.server.triton;

import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.server.json.ElementBuffer;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.v1.PredictReader;
import dev.millrace.server.v2.RequestLimits;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads the body of a request to generate: an object whose members are inputs, if the model has one
 * of that name, and else parameters. An input is a value or a flat list of values. An object under
 * {@code parameters} is read in the same way.
 *
 * <p>A model that declares no inputs gets the object itself as its only row, in JSON, unless it has
 * rows in the form of V1, under {@code instances} or {@code inputs}.
 *
 * @see <a
 *     href="https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md">Triton's
 *     generate extension</a>
 */
final class GenerateRequest implements AutoCloseable {
  private final ModelMetadata metadata;
  private final JsonParser parser;
  private final TensorMap.Builder inputs = TensorMap.builder();
  private final Map<String, Object> parameters = new LinkedHashMap<>();
  private String id = "";

  private GenerateRequest(ModelMetadata metadata, JsonParser parser) {
    this.metadata = metadata;
    this.parser = parser;
  }

  /**
   * Reads a body.
   *
   * @param model that is asked for
   * @param metadata what it declares
   * @return the request, which the caller closes
   * @throws InferenceException INVALID_ARGUMENT
   */
  static InferenceRequest read(ModelId model, ModelMetadata metadata, ByteBuf body) {
    if (metadata.inputs().isEmpty()) {
      return readRows(model, metadata, body);
    }
    try (GenerateRequest request =
        new GenerateRequest(metadata, JsonSource.of(body, body.readableBytes()).parser())) {
      request.parse();
      return new InferenceRequest(
          request.id,
          model,
          request.inputs.build(),
          List.of(),
          Parameters.copyOf(request.parameters),
          Deadline.none());
    } catch (JacksonException e) {
      throw malformed(JsonSource.problem(e));
    }
  }

  private static InferenceRequest readRows(ModelId model, ModelMetadata metadata, ByteBuf body) {
    String id = "";
    boolean hasRows = false;
    try (JsonParser parser = JsonSource.of(body, body.readableBytes()).parser()) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw malformed("expected an object");
      }
      for (String name = parser.nextName(); name != null; name = parser.nextName()) {
        JsonToken value = parser.nextToken();
        hasRows |= name.equals("instances") || name.equals("inputs");
        if (name.equals("id") && value == JsonToken.VALUE_STRING) {
          id = parser.getString();
          RequestLimits.checkId(id);
        }
        parser.skipChildren();
      }
      if (parser.currentToken() != JsonToken.END_OBJECT || parser.nextToken() != null) {
        throw malformed("the object does not end, or there is more behind it");
      }
    } catch (JacksonException e) {
      throw malformed(JsonSource.problem(e));
    }
    if (hasRows) {
      return PredictReader.read(id, model, metadata, body).inference();
    }
    byte[] row = ByteBufUtil.getBytes(body);
    return new InferenceRequest(
        id,
        model,
        TensorMap.of("instances", Tensor.copyOf(Shape.of(1), List.of(row))),
        List.of(),
        Parameters.empty(),
        Deadline.none());
  }

  private static InferenceException malformed(String what) {
    return InferenceException.invalidArgument("failed to parse the request JSON buffer: " + what);
  }

  private void parse() {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw malformed("expected an object");
    }
    parseMembers(true);
    if (parser.nextToken() != null) {
      throw malformed("there is more behind the object");
    }
  }

  private void parseMembers(boolean outermost) {
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = parser.nextToken();
      Optional<TensorSpec> input = metadata.input(name);
      if (value == JsonToken.VALUE_NULL) {
        continue;
      }
      if (input.isPresent()) {
        parseInput(input.get(), value);
      } else if (outermost && name.equals("parameters") && value == JsonToken.START_OBJECT) {
        parseMembers(false);
      } else if (outermost && name.equals("id")) {
        id = id(value);
      } else {
        parseParameter(name, value);
      }
    }
    if (parser.currentToken() != JsonToken.END_OBJECT) {
      throw malformed("the object does not end");
    }
  }

  private String id(JsonToken value) {
    if (value != JsonToken.VALUE_STRING) {
      throw InferenceException.invalidArgument("'id' must be a string");
    }
    String text = parser.getString();
    RequestLimits.checkId(text);
    return text;
  }

  private void parseParameter(String name, JsonToken value) {
    if (name.startsWith("triton_")) {
      throw InferenceException.invalidArgument(
          "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.");
    }
    parameters.put(
        name,
        switch (value) {
          case VALUE_STRING -> parser.getString();
          case VALUE_TRUE -> true;
          case VALUE_FALSE -> false;
          case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
          case VALUE_NUMBER_INT -> parser.getLongValue();
          default ->
              throw InferenceException.invalidArgument(
                  "'%s' is no input of model '%s', and a parameter must be a string, a boolean or a number"
                      .formatted(name, metadata.id().name()));
        });
    RequestLimits.checkCount("parameters", parameters.size());
  }

  private void parseInput(TensorSpec input, JsonToken value) {
    String name = input.name();
    if (inputs.contains(name)) {
      throw InferenceException.invalidArgument(
          "input '%s' already exists in request".formatted(name));
    }
    if (input.dataType() == DataType.FP16 || input.dataType() == DataType.BF16) {
      throw InferenceException.invalidArgument(
          "receiving %s data via JSON is not supported, as for input '%s'"
              .formatted(input.dataType(), name));
    }
    try (ElementBuffer elements = new ElementBuffer(input.dataType(), 64)) {
      long count = 1;
      if (value == JsonToken.START_ARRAY) {
        count = 0;
        for (JsonToken token = parser.nextToken();
            token != JsonToken.END_ARRAY;
            token = parser.nextToken()) {
          add(elements, input, token);
          count++;
        }
      } else {
        add(elements, input, value);
      }
      inputs.put(name, elements.toTensor(shape(input, count)));
    }
  }

  private void add(ElementBuffer elements, TensorSpec input, JsonToken token) {
    boolean added =
        switch (input.dataType()) {
          case BYTES ->
              token == JsonToken.VALUE_STRING
                  && elements.addText(
                      parser.getStringCharacters(),
                      parser.getStringOffset(),
                      parser.getStringLength());
          case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64 ->
              switch (elements.addNumber(parser, token)) {
                case FITS -> true;
                case WRONG_TYPE, OUT_OF_RANGE -> false;
              };
          case FP16, BF16 -> false;
        };
    if (!added) {
      throw InferenceException.invalidArgument(
          "Unable to parse '%s': expected %s, or a flat list of these"
              .formatted(
                  input.name(),
                  input.dataType() == DataType.BYTES
                      ? "a string"
                      : "a value of type " + input.dataType()));
    }
  }

  /** The elements in the last dimension, and 1 in all before it. */
  private static Shape shape(TensorSpec input, long count) {
    int rank = input.shape().rank();
    if (rank == 0) {
      return count == 1 ? Shape.scalar() : Shape.of(count);
    }
    long[] dims = new long[rank];
    java.util.Arrays.fill(dims, 1);
    dims[rank - 1] = count;
    return Shape.of(dims);
  }

  /** Closes what was read and not handed out. */
  @Override
  public void close() {
    inputs.close();
    parser.close();
  }
}
