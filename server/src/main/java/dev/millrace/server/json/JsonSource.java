package dev.millrace.server.json;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufInputStream;
import io.netty.util.concurrent.FastThreadLocal;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.regex.Pattern;
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
public final class JsonSource {
  /** Deepest nesting of arrays and objects. */
  public static final int MAX_DEPTH = 100;

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

  /** Where something began by the parser's own account, which does not know. */
  private static final Pattern PLACE = Pattern.compile(" \\([^()]*\\[Source: .*]\\)");

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
  public static JsonSource of(ByteBuf buffer, int length) {
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
  public static JsonParser of(String text) {
    return JSON.createParser(ObjectReadContext.empty(), text);
  }

  /** Bytes of the text. */
  public int length() {
    return length;
  }

  /** A parser of the whole text. */
  public JsonParser parser() {
    return parser(0, length);
  }

  /** A parser of the bytes from {@code start} to {@code end}. */
  public JsonParser parser(int start, int end) {
    if (array != null) {
      return JSON.createParser(ObjectReadContext.empty(), array, offset + start, end - start);
    }
    InputStream text =
        new ByteBufInputStream(buffer.slice(buffer.readerIndex() + start, end - start));
    return JSON.createParser(ObjectReadContext.empty(), text);
  }

  /** Copies the bytes from {@code start} on to {@code out}, as many as that has room for. */
  public void copy(int start, ByteBuffer out) {
    if (array != null) {
      out.put(array, offset + start, out.remaining());
    } else {
      buffer.getBytes(buffer.readerIndex() + start, out);
    }
  }

  /**
   * What is wrong with a text that is not JSON, for people; where, {@link #offset} says.
   *
   * @param failure what a parser of this class threw
   */
  public static String problem(JacksonException failure) {
    return isTooDeep(failure)
        ? "JSON nesting depth exceeds maximum allowed limit (%d)".formatted(MAX_DEPTH)
        : PLACE.matcher(failure.getOriginalMessage()).replaceFirst("");
  }

  /** How many bytes into the text that is; negative if unknown. */
  public static long offset(JacksonException failure) {
    return failure.getLocation() == null ? -1 : failure.getLocation().getByteOffset();
  }

  /** Whether it is not the text that is at fault, but that it is nested too deeply. */
  public static boolean isTooDeep(JacksonException failure) {
    return failure instanceof StreamConstraintsException
        && failure.getOriginalMessage().contains("depth");
  }
}
