package dev.millrace.server.v1;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.server.json.ElementBuffer;
import dev.millrace.server.json.JsonSource;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Rows of which only the model knows what they are, as one that declares no inputs: a BYTES tensor
 * with the JSON text of each, called {@code instances} or {@code inputs} as the member that they
 * came in. What is no list is one text in a tensor without dimensions.
 *
 * <p>The answer is such a tensor too, called {@code predictions}; or it is the whole body in one
 * text, in a tensor without dimensions called {@code response}.
 */
final class TextRows {
  private static final String PREDICTIONS = "predictions";
  private static final String RESPONSE = "response";

  private TextRows() {}

  /** Reads the value at whose start the parser is, to its end; the caller closes the tensor. */
  static TensorMap read(String name, JsonParser parser, JsonToken value, JsonSource source) {
    try (ElementBuffer texts = new ElementBuffer(DataType.BYTES, source.length())) {
      if (value != JsonToken.START_ARRAY) {
        add(parser, source, texts);
        return TensorMap.of(name, texts.toTensor(Shape.scalar()));
      }
      long rows = 0;
      for (JsonToken row = V1Json.next(parser);
          row != JsonToken.END_ARRAY;
          row = V1Json.next(parser)) {
        add(parser, source, texts);
        rows++;
      }
      return TensorMap.of(name, texts.toTensor(Shape.of(rows)));
    }
  }

  private static void add(JsonParser parser, JsonSource source, ElementBuffer texts) {
    long start = parser.currentTokenLocation().getByteOffset();
    int length = V1Json.skip(parser, start, source);
    source.copy((int) start, texts.addBytes(length));
  }

  /** Whether these are predictions in JSON texts. */
  static boolean isPredictions(TensorMap outputs) {
    return isTexts(outputs, PREDICTIONS) && outputs.tensor(0).shape().rank() <= 1;
  }

  /** Whether this is a whole body. */
  static boolean isResponse(TensorMap outputs) {
    return isTexts(outputs, RESPONSE) && outputs.tensor(0).shape().rank() == 0;
  }

  private static boolean isTexts(TensorMap outputs, String name) {
    return outputs.size() == 1
        && outputs.name(0).equals(name)
        && outputs.tensor(0).dataType() == DataType.BYTES;
  }
}
