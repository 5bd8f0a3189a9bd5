package dev.millrace.server.v1;

import com.google.protobuf.ByteString;
import dev.millrace.api.InferenceException;
import dev.millrace.proto.tensorflow.BytesList;
import dev.millrace.proto.tensorflow.Example;
import dev.millrace.proto.tensorflow.Feature;
import dev.millrace.proto.tensorflow.Features;
import dev.millrace.proto.tensorflow.FloatList;
import dev.millrace.proto.tensorflow.Int64List;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Makes TensorFlow's examples of JSON objects, for signatures that parse examples themselves. Whole
 * numbers become an {@code int64_list}, numbers of which one has a point or an exponent a {@code
 * float_list}, texts and {@code {"b64": …}} a {@code bytes_list}.
 *
 * <p>Source of the format: TF Serving's RESTful API, "Classify and Regress API".
 */
final class JsonExamples {
  private JsonExamples() {}

  /**
   * The example that the object under way is.
   *
   * @throws InferenceException INVALID_ARGUMENT if a feature's values are not of one kind
   */
  static Example read(JsonParser parser) {
    Features.Builder features = Features.newBuilder();
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      JsonToken value = V1Json.next(parser);
      Values values = new Values(name);
      if (value == JsonToken.START_ARRAY) {
        for (JsonToken element = V1Json.next(parser);
            element != JsonToken.END_ARRAY;
            element = V1Json.next(parser)) {
          values.add(parser, element);
        }
      } else {
        values.add(parser, value);
      }
      features.putFeature(name, values.toFeature());
    }
    return Example.newBuilder().setFeatures(features).build();
  }

  /** The values of one feature. */
  private static final class Values {
    private final String name;
    private final List<ByteString> texts = new ArrayList<>();
    private final List<Long> integers = new ArrayList<>();
    private final List<Float> floats = new ArrayList<>();
    private boolean hasFloat;

    Values(String name) {
      this.name = name;
    }

    void add(JsonParser parser, JsonToken value) {
      switch (value) {
        case VALUE_STRING -> texts.add(ByteString.copyFromUtf8(parser.getString()));
        case START_OBJECT -> texts.add(encoded(parser));
        case VALUE_NUMBER_INT -> {
          try {
            integers.add(parser.getLongValue());
          } catch (tools.jackson.core.exc.InputCoercionException e) {
            throw bad("whole numbers of at most 64 bits");
          }
          floats.add(parser.getFloatValue());
        }
        case VALUE_NUMBER_FLOAT -> {
          hasFloat = true;
          floats.add(parser.getFloatValue());
        }
        case VALUE_TRUE, VALUE_FALSE -> {
          integers.add(value == JsonToken.VALUE_TRUE ? 1L : 0L);
          floats.add(value == JsonToken.VALUE_TRUE ? 1f : 0f);
        }
        default -> throw bad("numbers or texts, or lists of them");
      }
      if (!texts.isEmpty() && !floats.isEmpty()) {
        throw bad("values of one kind");
      }
    }

    private ByteString encoded(JsonParser parser) {
      String member = parser.nextName();
      if (member != null && member.equals("b64") && V1Json.next(parser) == JsonToken.VALUE_STRING) {
        try {
          ByteString bytes = ByteString.copyFrom(Base64.getDecoder().decode(parser.getString()));
          if (V1Json.next(parser) == JsonToken.END_OBJECT) {
            return bytes;
          }
        } catch (IllegalArgumentException e) {
          // said below
        }
      }
      throw bad("an object with one key 'b64' and base64");
    }

    private InferenceException bad(String expected) {
      return InferenceException.invalidArgument(
          "Feature: %s expects %s".formatted(V1Errors.shortened(name), expected));
    }

    Feature toFeature() {
      Feature.Builder feature = Feature.newBuilder();
      if (!texts.isEmpty()) {
        return feature.setBytesList(BytesList.newBuilder().addAllValue(texts)).build();
      }
      if (hasFloat) {
        return feature.setFloatList(FloatList.newBuilder().addAllValue(floats)).build();
      }
      return integers.isEmpty()
          ? feature.build()
          : feature.setInt64List(Int64List.newBuilder().addAllValue(integers)).build();
    }
  }
}
