package dev.millrace.server.v1;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorSpec;
import dev.millrace.proto.tensorflow.Example;
import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads the body of a {@code classify} or {@code regress} request: examples, which are objects of
 * features. A feature is the input of its name, in the example's row; features that the model does
 * not declare are passed over, as it is with examples in TensorFlow. A signature that is made for
 * examples gets them as they are.
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
  static InferenceRequest read(String id, ModelId model, Signature signature, ByteBuf body) {
    Optional<TensorSpec> whole = signature.examplesInput();
    return signature.address(
        whole.isPresent()
            ? readWhole(id, model, signature, whole.get(), body)
            : readFeatures(id, model, signature, body));
  }

  private static InferenceRequest readFeatures(
      String id, ModelId model, Signature signature, ByteBuf body) {
    JsonSource source = JsonSource.of(body, body.readableBytes());
    try (JsonParser parser = source.parser();
        Examples examples = new Examples(signature.metadata(), source.length())) {
      parse(
          parser,
          signature,
          (value, ofContext) -> {
            parseExample(parser, value, examples, ofContext);
            if (!ofContext) {
              examples.next();
            }
          });
      return new InferenceRequest(
          id, model, examples.toTensors(), List.of(), Parameters.empty(), Deadline.none());
    } catch (JacksonException e) {
      throw V1Errors.malformed(e);
    }
  }

  /** Examples as the texts that a signature parses itself, each with the context before it. */
  private static InferenceRequest readWhole(
      String id, ModelId model, Signature signature, TensorSpec whole, ByteBuf body) {
    JsonSource source = JsonSource.of(body, body.readableBytes());
    Example.Builder context = Example.newBuilder();
    List<Example> examples = new ArrayList<>();
    try (JsonParser parser = source.parser()) {
      parse(
          parser,
          signature,
          (value, ofContext) -> {
            requireObject(value);
            Example example = JsonExamples.read(parser);
            if (ofContext) {
              context.mergeFrom(example);
            } else {
              examples.add(example);
            }
          });
    } catch (JacksonException e) {
      throw V1Errors.malformed(e);
    }
    List<byte[]> texts = new ArrayList<>();
    for (Example example : examples) {
      texts.add(context.clone().mergeFrom(example).build().toByteArray());
    }
    return new InferenceRequest(
        id,
        model,
        ExampleInputs.tensor(whole, texts),
        List.of(),
        Parameters.empty(),
        Deadline.none());
  }

  /** Takes an example, or the context, which begins with that token. */
  private interface Taker {
    void take(JsonToken value, boolean ofContext);
  }

  private static void parse(JsonParser parser, Signature signature, Taker taker) {
    V1Json.begin(parser);
    boolean seen = false;
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = V1Json.next(parser);
      switch (name) {
        case "signature_name" -> signature.require(V1Json.signatureName(parser, value));
        case "context" -> taker.take(value, true);
        case "examples" -> {
          if (seen) {
            throw InferenceException.invalidArgument("'examples' is there twice");
          }
          seen = true;
          parseExamples(parser, value, taker);
        }
        default -> parser.skipChildren();
      }
    }
    if (!seen) {
      throw InferenceException.invalidArgument(
          "When method is classify, key 'examples' is expected and was not found");
    }
  }

  private static void parseExamples(JsonParser parser, JsonToken value, Taker taker) {
    if (value != JsonToken.START_ARRAY) {
      throw V1Errors.wrongValue(parser, value, "Expecting 'examples' value to be an list/array");
    }
    boolean isEmpty = true;
    for (JsonToken example = V1Json.next(parser);
        example != JsonToken.END_ARRAY;
        example = V1Json.next(parser)) {
      taker.take(example, false);
      isEmpty = false;
    }
    if (isEmpty) {
      throw InferenceException.invalidArgument("'examples' value is an empty array");
    }
  }

  private static void requireObject(JsonToken value) {
    if (value != JsonToken.START_OBJECT) {
      throw InferenceException.invalidArgument(
          "Example must be JSON object but got JSON " + V1Errors.kind(value));
    }
  }

  private static void parseExample(
      JsonParser parser, JsonToken value, Examples examples, boolean context) {
    requireObject(value);
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
