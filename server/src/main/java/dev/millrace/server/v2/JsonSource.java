package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufInputStream;
import io.netty.util.concurrent.FastThreadLocal;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonReadFeature;

/** A JSON text in a buffer, which can be parsed from any place in it. */
final class JsonSource {
  /** Deepest nesting of arrays and objects. */
  static final int MAX_DEPTH = 100;

  /** Largest text that is copied to the heap, where parsing is fastest. */
  private static final int COPIED = 64 << 10;

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER)
          .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxStringLength(Integer.MAX_VALUE)
                  .build())
          .build();

  private static final FastThreadLocal<byte[]> SCRATCH =
      new FastThreadLocal<>() {
        @Override
        protected byte[] initialValue() {
          return new byte[COPIED];
        }
      };

  private final ByteBuf buffer;
  private final int length;
  private final byte @Nullable [] array;
  private final int offset;

  private JsonSource(ByteBuf buffer, int length, byte @Nullable [] array, int offset) {
    this.buffer = buffer;
    this.length = length;
    this.array = array;
    this.offset = offset;
  }

  /**
   * The first {@code length} readable bytes of {@code buffer}. One per thread at a time: it may use
   * memory of the thread.
   */
  static JsonSource of(ByteBuf buffer, int length) {
    if (buffer.hasArray()) {
      return new JsonSource(
          buffer, length, buffer.array(), buffer.arrayOffset() + buffer.readerIndex());
    }
    if (length <= COPIED) {
      byte[] copy = SCRATCH.get();
      buffer.getBytes(buffer.readerIndex(), copy, 0, length);
      return new JsonSource(buffer, length, copy, 0);
    }
    return new JsonSource(buffer, length, null, 0);
  }

  /** A parser of a short text. */
  static JsonParser of(String text) {
    return JSON.createParser(ObjectReadContext.empty(), text);
  }

  int length() {
    return length;
  }

  /** A parser of the whole text. */
  JsonParser parser() {
    return parser(0, length);
  }

  /** A parser of the bytes from {@code start} to {@code end}. */
  JsonParser parser(int start, int end) {
    if (array != null) {
      return JSON.createParser(ObjectReadContext.empty(), array, offset + start, end - start);
    }
    InputStream text =
        new ByteBufInputStream(buffer.slice(buffer.readerIndex() + start, end - start));
    return JSON.createParser(ObjectReadContext.empty(), text);
  }

  /** What a client is told of a text that is not JSON. */
  static InferenceException malformed(JacksonException e) {
    if (e instanceof StreamConstraintsException && e.getOriginalMessage().contains("depth")) {
      return InferenceException.invalidArgument(
          "JSON nesting depth exceeds maximum allowed limit (%d)".formatted(MAX_DEPTH));
    }
    long at = e.getLocation() == null ? -1 : e.getLocation().getByteOffset();
    return malformed(e.getOriginalMessage(), at);
  }

  /** As {@link #malformed(JacksonException)}; {@code at} is negative if unknown. */
  static InferenceException malformed(String what, long at) {
    return InferenceException.invalidArgument(
        "failed to parse the request JSON buffer: " + what + (at < 0 ? "" : " at " + at));
  }
}
