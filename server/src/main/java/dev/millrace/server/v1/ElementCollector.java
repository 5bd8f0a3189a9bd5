package dev.millrace.server.v1;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorSpec;
import dev.millrace.server.json.ElementBuffer;
import dev.millrace.server.json.Fit;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.Base64Variant;
import tools.jackson.core.Base64Variants;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.exc.StreamReadException;
import tools.jackson.core.exc.UnexpectedEndOfInputException;

/**
 * Collects the elements of one input. What comes in a message decides how many they are, what the
 * model declares decides their type.
 */
abstract sealed class ElementCollector implements AutoCloseable
    permits TensorCollector, FeatureCollector {
  /** The only member of an object that stands for a text. */
  static final String BASE64_KEY = "b64";

  private static final Base64Variant BASE64 = Base64Variants.MIME_NO_LINEFEEDS.withPaddingAllowed();

  /** Every whole number below has an FP32, and an FP64, of its own. */
  private static final long SINGLE_EXACT = (1L << 24) - 1;

  private static final long DOUBLE_EXACT = (1L << 53) - 1;

  final TensorSpec spec;
  final ElementBuffer elements;

  /** Number of elements. */
  long count;

  /** Number of values (rows, columns, examples) that they make. */
  long values;

  /**
   * @param sizeHint how many bytes of tensor will probably come
   */
  ElementCollector(TensorSpec spec, long sizeHint) {
    this.spec = spec;
    this.elements = new ElementBuffer(spec.dataType(), sizeHint);
  }

  /**
   * Adds the value at which the parser is, which is no array; leaves the parser at its end.
   *
   * @throws InferenceException INVALID_ARGUMENT if it cannot be an element
   */
  final void addElement(JsonParser parser, JsonToken token) {
    if (token == JsonToken.START_OBJECT) {
      if (!isTexts()) {
        throw V1Errors.wrongType(parser, token, spec.dataType());
      }
      addBase64(parser, parser.nextName());
      return;
    }
    if (isTexts()) {
      addText(parser, token);
    } else {
      addNumber(parser, token);
    }
    count++;
  }

  private void addText(JsonParser parser, JsonToken token) {
    if (token != JsonToken.VALUE_STRING) {
      throw V1Errors.wrongType(parser, token, spec.dataType());
    }
    boolean paired =
        elements.addText(
            parser.getStringCharacters(), parser.getStringOffset(), parser.getStringLength());
    if (!paired) {
      throw InferenceException.invalidArgument(
          "JSON Parse error: a string for '%s' holds half of a surrogate pair"
              .formatted(spec.name()));
    }
  }

  private void addNumber(JsonParser parser, JsonToken token) {
    Fit fit = elements.addNumber(parser, token);
    DataType type = spec.dataType();
    if (fit == Fit.WRONG_TYPE) {
      throw V1Errors.wrongType(parser, token, type);
    }
    if (fit == Fit.OUT_OF_RANGE || (token == JsonToken.VALUE_NUMBER_INT && isInexact(parser))) {
      throw isFloatingPoint(type)
          ? V1Errors.lossy(parser, token, type)
          : V1Errors.wrongType(parser, token, type);
    }
  }

  static boolean isFloatingPoint(DataType type) {
    return switch (type) {
      case FP16, BF16, FP32, FP64 -> true;
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, BYTES -> false;
    };
  }

  /** Whether a whole number is beyond those that a floating-point type has one each for. */
  private boolean isInexact(JsonParser parser) {
    return switch (spec.dataType()) {
      case FP32 -> isBeyond(parser, SINGLE_EXACT);
      case FP64 -> isBeyond(parser, DOUBLE_EXACT);
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16, BYTES ->
          false;
    };
  }

  private static boolean isBeyond(JsonParser parser, long bound) {
    if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
      return true;
    }
    long value = parser.getLongValue();
    return value > bound || value < -bound;
  }

  /** How many values (rows, columns, examples) were added. */
  final long values() {
    return values;
  }

  final boolean isTexts() {
    return spec.dataType() == DataType.BYTES;
  }

  /** Whether an object whose first member has that name stands for a text of this input. */
  final boolean isBase64(@Nullable String member) {
    return isTexts() && BASE64_KEY.equals(member) && !spec.name().equals(BASE64_KEY);
  }

  /**
   * Adds the bytes of an object of which the parser is at the first member; leaves it at its end.
   */
  final void addBase64(JsonParser parser, @Nullable String member) {
    JsonToken token = BASE64_KEY.equals(member) ? parser.nextToken() : null;
    if (token != JsonToken.VALUE_STRING) {
      throw notBase64Object();
    }
    byte[] bytes;
    try {
      bytes = parser.getBinaryValue(BASE64);
    } catch (UnexpectedEndOfInputException e) {
      throw e;
    } catch (StreamReadException e) {
      throw InferenceException.invalidArgument("Unable to base64 decode");
    }
    if (parser.nextToken() != JsonToken.END_OBJECT) {
      throw notBase64Object();
    }
    elements.addBytes(bytes.length).put(bytes);
    count++;
  }

  private static InferenceException notBase64Object() {
    return InferenceException.invalidArgument(
        "JSON Value: {…} not formatted correctly for base64 data");
  }

  /** Frees what was collected and not made a tensor. */
  @Override
  public final void close() {
    elements.close();
  }
}
