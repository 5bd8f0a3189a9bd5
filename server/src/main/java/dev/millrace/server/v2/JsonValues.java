package dev.millrace.server.v2;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.server.json.JsonSource;
import java.math.BigInteger;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Values of members, with the errors that clients of this protocol know. */
final class JsonValues {
  private static final DataType[] DATA_TYPES = DataType.values();

  private JsonValues() {}

  /** What a client is told of a text that is not JSON. */
  static InferenceException malformed(JacksonException e) {
    return JsonSource.isTooDeep(e)
        ? InferenceException.invalidArgument(JsonSource.problem(e))
        : malformed(JsonSource.problem(e), JsonSource.offset(e));
  }

  /** As {@link #malformed(JacksonException)}; {@code at} is negative if unknown. */
  static InferenceException malformed(String what, long at) {
    return InferenceException.invalidArgument(
        "failed to parse the request JSON buffer: " + what + (at < 0 ? "" : " at " + at));
  }

  static String string(JsonParser parser, String member, JsonToken token) {
    require(token == JsonToken.VALUE_STRING, member, "string");
    return parser.getString();
  }

  /** A datatype, for whose name no text is made if it is one. */
  static DataType dataType(JsonParser parser, String member, JsonToken token) {
    require(token == JsonToken.VALUE_STRING, member, "string");
    char[] chars = parser.getStringCharacters();
    int offset = parser.getStringOffset();
    int length = parser.getStringLength();
    for (DataType type : DATA_TYPES) {
      if (equal(type.name(), chars, offset, length)) {
        return type;
      }
    }
    return DataType.of(parser.getString());
  }

  private static boolean equal(String name, char[] chars, int offset, int length) {
    if (name.length() != length) {
      return false;
    }
    for (int i = 0; i < length; i++) {
      if (name.charAt(i) != chars[offset + i]) {
        return false;
      }
    }
    return true;
  }

  static boolean bool(String member, JsonToken token) {
    require(token == JsonToken.VALUE_TRUE || token == JsonToken.VALUE_FALSE, member, "boolean");
    return token == JsonToken.VALUE_TRUE;
  }

  /** A whole number of 64 bits, with a sign or without: one above 2^63 wraps. */
  static long whole(JsonParser parser, String member, JsonToken token) {
    require(token == JsonToken.VALUE_NUMBER_INT, member, "signed-integer");
    if (parser.getNumberType() != JsonParser.NumberType.BIG_INTEGER) {
      return parser.getLongValue();
    }
    BigInteger value = parser.getBigIntegerValue();
    if (value.signum() < 0 || value.bitLength() > 64) {
      throw outOfRange(member);
    }
    return value.longValue();
  }

  /** A whole number that is not negative and fits a long. */
  static long size(JsonParser parser, String member, JsonToken token) {
    require(token == JsonToken.VALUE_NUMBER_INT, member, "unsigned-integer");
    if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
      throw outOfRange(member);
    }
    long value = parser.getLongValue();
    require(value >= 0, member, "unsigned-integer");
    return value;
  }

  /** Checks that the parser has come to the end of the object whose members it went through. */
  static void requireObjectEnd(JsonParser parser) {
    if (parser.currentToken() != JsonToken.END_OBJECT) {
      throw malformed("the object does not end", parser.currentLocation().getByteOffset());
    }
  }

  private static InferenceException outOfRange(String member) {
    return InferenceException.invalidArgument(
        "Unable to parse '%s': the number has more than 64 bits".formatted(member));
  }

  static void require(boolean condition, String member, String expected) {
    if (!condition) {
      throw InferenceException.invalidArgument(
          "Unable to parse '%s': attempt to access JSON non-%s as %s"
              .formatted(member, expected, expected));
    }
  }
}
