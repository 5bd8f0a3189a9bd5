package dev.millrace.transformers;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * A {@code tokenizer.json}: what it says of cutting and filling up, which this module does itself.
 *
 * @param json the whole file
 * @param maxLength most tokens; empty if it does not cut
 * @param padId what it fills up with
 * @param padTypeId the segment of that
 * @param padsLeft whether it fills up before the text
 * @param fixedLength to which it fills up; empty for the longest of a request
 */
record TokenizerFile(
    String json,
    OptionalInt maxLength,
    long padId,
    long padTypeId,
    boolean padsLeft,
    OptionalInt fixedLength) {
  private static final long MAX_BYTES = 256L << 20;

  /** Tokens that fill up, as the usual vocabularies call them. */
  private static final Set<String> PAD_TOKENS = Set.of("[PAD]", "<pad>", "<|pad|>", "<PAD>");

  /**
   * Reads a file.
   *
   * @throws InferenceException FAILED_PRECONDITION if it is not one
   */
  static TokenizerFile read(Path file) {
    try {
      if (Files.size(file) > MAX_BYTES) {
        throw bad(file, "it is longer than %d bytes".formatted(MAX_BYTES), null);
      }
      String json = Files.readString(file);
      try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), json)) {
        return new Reader(parser).read(json);
      }
    } catch (IOException | JacksonException e) {
      throw bad(file, String.valueOf(e.getMessage()).lines().findFirst().orElse(""), e);
    }
  }

  private static InferenceException bad(Path file, String problem, @Nullable Throwable cause) {
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s is not a tokenizer.json: %s".formatted(file, problem),
        cause);
  }

  /** Goes through the file once; looks at the few things of interest. */
  private static final class Reader {
    private final JsonParser parser;
    private OptionalInt maxLength = OptionalInt.empty();
    private OptionalInt fixedLength = OptionalInt.empty();
    private Optional<Long> padId = Optional.empty();
    private long padTypeId;
    private long padTokenId;
    private boolean padsLeft;

    Reader(JsonParser parser) {
      this.parser = parser;
    }

    TokenizerFile read(String json) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return new TokenizerFile(
            json, maxLength, 0, padTypeId, padsLeft, fixedLength); // the library refuses it
      }
      for (String key = parser.nextName(); key != null; key = parser.nextName()) {
        JsonToken value = parser.nextToken();
        if (key.equals("truncation") && value == JsonToken.START_OBJECT) {
          readTruncation();
        } else if (key.equals("padding") && value == JsonToken.START_OBJECT) {
          readPadding();
        } else if (key.equals("added_tokens") && value == JsonToken.START_ARRAY) {
          while (parser.nextToken() == JsonToken.START_OBJECT) {
            readToken();
          }
        } else {
          parser.skipChildren();
        }
      }
      return new TokenizerFile(
          json, maxLength, padId.orElse(padTokenId), padTypeId, padsLeft, fixedLength);
    }

    private void readTruncation() {
      for (String key = parser.nextName(); key != null; key = parser.nextName()) {
        JsonToken value = parser.nextToken();
        if (key.equals("max_length") && value == JsonToken.VALUE_NUMBER_INT) {
          maxLength = OptionalInt.of(parser.getIntValue());
        }
        parser.skipChildren();
      }
    }

    private void readPadding() {
      for (String key = parser.nextName(); key != null; key = parser.nextName()) {
        JsonToken value = parser.nextToken();
        switch (key) {
          case "pad_id" -> padId = Optional.of(parser.getLongValue());
          case "pad_type_id" -> padTypeId = parser.getLongValue();
          case "direction" -> padsLeft = "Left".equals(parser.getString());
          case "strategy" -> {
            if (value == JsonToken.START_OBJECT) {
              readStrategy();
            }
          }
          default -> parser.skipChildren();
        }
      }
    }

    private void readStrategy() {
      for (String key = parser.nextName(); key != null; key = parser.nextName()) {
        JsonToken value = parser.nextToken();
        if (key.equals("Fixed") && value == JsonToken.VALUE_NUMBER_INT) {
          fixedLength = OptionalInt.of(parser.getIntValue());
        }
        parser.skipChildren();
      }
    }

    private void readToken() {
      long id = 0;
      boolean pads = false;
      for (String key = parser.nextName(); key != null; key = parser.nextName()) {
        JsonToken value = parser.nextToken();
        if (key.equals("id") && value == JsonToken.VALUE_NUMBER_INT) {
          id = parser.getLongValue();
        } else if (key.equals("content") && value == JsonToken.VALUE_STRING) {
          pads = PAD_TOKENS.contains(parser.getString());
        }
        parser.skipChildren();
      }
      if (pads) {
        padTokenId = id;
      }
    }
  }
}
