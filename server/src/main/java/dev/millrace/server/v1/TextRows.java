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
 * with the JSON text of each.
 */
final class TextRows {
  /** The input that they are. */
  static final String INPUT = "instances";

  /** The output whose elements are JSON texts too. */
  static final String OUTPUT = "predictions";

  private TextRows() {}

  /** Reads the array at whose start the parser is, to its end; the caller closes the tensor. */
  static TensorMap read(JsonParser parser, JsonSource source) {
    try (ElementBuffer texts = new ElementBuffer(DataType.BYTES, source.length())) {
      long rows = 0;
      for (JsonToken row = V1Json.next(parser);
          row != JsonToken.END_ARRAY;
          row = V1Json.next(parser)) {
        long start = parser.currentTokenLocation().getByteOffset();
        int length = V1Json.skip(parser, start, source);
        source.copy((int) start, texts.addBytes(length));
        rows++;
      }
      return TensorMap.of(INPUT, texts.toTensor(Shape.of(rows)));
    }
  }
}
