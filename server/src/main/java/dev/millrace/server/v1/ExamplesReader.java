package dev.millrace.server.v1;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads the body of a {@code classify} or {@code regress} request: examples, which are objects of
 * features. A feature is the input of its name, in the example's row; features that the model does
 * not declare are passed over, as it is with examples in TensorFlow.
 *
 * <p>Source of the format: TF Serving's RESTful API, "Classify and Regress API".
 */
final class ExamplesReader {
  private ExamplesReader() {}

  /**
   * Reads a request, which the caller closes.
   *
   * @param id the client's name for this call; empty if it gave none
   * @param body stays the caller's
   * @throws InferenceException INVALID_ARGUMENT
   */
  static InferenceRequest read(String id, ModelId model, ModelMetadata metadata, ByteBuf body) {
    JsonSource source = JsonSource.of(body, body.readableBytes());
    try (JsonParser parser = source.parser();
        Examples examples = new Examples(metadata, source.length())) {
      parse(parser, metadata, examples);
      return new InferenceRequest(
          id, model, examples.toTensors(), List.of(), Parameters.empty(), Deadline.none());
    } catch (JacksonException e) {
      throw V1Errors.malformed(e);
    }
  }

  private static void parse(JsonParser parser, ModelMetadata metadata, Examples examples) {
    V1Json.begin(parser);
    boolean seen = false;
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = V1Json.next(parser);
      switch (name) {
        case "signature_name" -> Signatures.require(V1Json.signatureName(parser, value), metadata);
        case "context" -> parseExample(parser, value, examples, true);
        case "examples" -> {
          if (seen) {
            throw InferenceException.invalidArgument("'examples' is there twice");
          }
          seen = true;
          parseExamples(parser, value, examples);
        }
        default -> parser.skipChildren();
      }
    }
    if (!seen) {
      throw InferenceException.invalidArgument(
          "When method is classify, key 'examples' is expected and was not found");
    }
  }

  private static void parseExamples(JsonParser parser, JsonToken value, Examples examples) {
    if (value != JsonToken.START_ARRAY) {
      throw V1Errors.wrongValue(parser, value, "Expecting 'examples' value to be an list/array");
    }
    for (JsonToken example = V1Json.next(parser);
        example != JsonToken.END_ARRAY;
        example = V1Json.next(parser)) {
      parseExample(parser, example, examples, false);
      examples.next();
    }
    if (examples.count() == 0) {
      throw InferenceException.invalidArgument("'examples' value is an empty array");
    }
  }

  private static void parseExample(
      JsonParser parser, JsonToken value, Examples examples, boolean context) {
    if (value != JsonToken.START_OBJECT) {
      throw InferenceException.invalidArgument(
          "Example must be JSON object but got JSON " + V1Errors.kind(value));
    }
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken content = V1Json.next(parser);
      FeatureCollector feature = examples.begin(name, context);
      if (feature == null) {
        parser.skipChildren();
      } else {
        feature.add(parser, content);
      }
    }
  }
}
