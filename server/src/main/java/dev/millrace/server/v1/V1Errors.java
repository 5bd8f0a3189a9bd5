package dev.millrace.server.v1;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.server.json.JsonSource;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** What clients are told, in the words of TF Serving where it has some, else in those of KServe. */
final class V1Errors {
  /** Longest part of a request that is shown in an error. */
  private static final int LONGEST_SHOWN = 64;

  private V1Errors() {}

  /** A text that is not JSON. */
  static InferenceException malformed(JacksonException e) {
    long offset = JsonSource.offset(e);
    return InferenceException.invalidArgument(
        "JSON Parse error: "
            + JsonSource.problem(e)
            + (offset < 0 ? "" : " at offset: %d".formatted(offset)));
  }

  /** A text that ends in the middle. */
  static InferenceException truncated(int length) {
    return InferenceException.invalidArgument(
        "JSON Parse error: Unexpected end of the document at offset: %d".formatted(length));
  }

  /** A value that cannot be an element of that type. */
  static InferenceException wrongType(JsonParser parser, JsonToken token, DataType expected) {
    return InferenceException.invalidArgument(
        "JSON Value: %s Type: %s is not of expected type: %s"
            .formatted(shown(parser, token), kind(token), TensorFlowTypes.name(expected)));
  }

  /** A number that an element of that type cannot hold as it is. */
  static InferenceException lossy(JsonParser parser, JsonToken token, DataType type) {
    return InferenceException.invalidArgument(
        "Cannot convert JSON value: %s to %s without loss of precision."
            .formatted(shown(parser, token), TensorFlowTypes.name(type)));
  }

  /** A value that is not what a member has to be. */
  static InferenceException wrongValue(JsonParser parser, JsonToken token, String complaint) {
    return InferenceException.invalidArgument(
        "JSON Value: %s %s".formatted(shown(parser, token), complaint));
  }

  /** The value at which the parser is, shortened. */
  static String shown(JsonParser parser, JsonToken token) {
    return switch (token) {
      case START_OBJECT, PROPERTY_NAME, END_OBJECT -> "{…}";
      case START_ARRAY, END_ARRAY -> "[…]";
      case VALUE_STRING -> '"' + shortened(parser.getString()) + '"';
      default -> shortened(parser.getString());
    };
  }

  /** A text of the client's, shortened. */
  static String shortened(String text) {
    return text.length() <= LONGEST_SHOWN ? text : text.substring(0, LONGEST_SHOWN) + "…";
  }

  /** The kind of a value. */
  static String kind(JsonToken token) {
    return switch (token) {
      case VALUE_NULL -> "Null";
      case VALUE_TRUE -> "True";
      case VALUE_FALSE -> "False";
      case VALUE_STRING -> "String";
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "Number";
      case START_ARRAY, END_ARRAY -> "Array";
      default -> "Object";
    };
  }

  /** A model or version that does not exist. */
  static InferenceException noServable(ModelId id) {
    return InferenceException.notFound(
        "Servable not found for request: %s"
            .formatted(
                id.hasVersion()
                    ? "Specific(%s, %s)".formatted(id.name(), id.version())
                    : "Latest(%s)".formatted(id.name())));
  }

  /** A model that exists and cannot be asked just now. */
  static InferenceException notReady(ModelId id) {
    return InferenceException.unavailable("Model with name %s is not ready.".formatted(id.name()));
  }

  /** A model without a version. */
  static InferenceException noVersions(ModelId id) {
    return InferenceException.notFound(
        id.hasVersion()
            ? "Could not find version %s of model %s".formatted(id.version(), id.name())
            : "Could not find any versions of model %s".formatted(id.name()));
  }

  /** The same failure, with what it happened to before its text. */
  static InferenceException within(String where, InferenceException e) {
    return e.code() == ErrorCode.INVALID_ARGUMENT
        ? InferenceException.invalidArgument(
            "%s Error: %s: %s".formatted(where, e.code(), e.getMessage()))
        : e;
  }
}
