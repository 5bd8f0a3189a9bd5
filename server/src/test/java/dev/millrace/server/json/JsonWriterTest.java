package dev.millrace.server.json;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonReadFeature;

class JsonWriterTest {
  private static final JsonFactory JSON =
      JsonFactory.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  private final ByteBuf out = Unpooled.buffer();
  private final JsonWriter json = JsonWriter.to(out);

  private String text() {
    json.finish();
    return out.toString(UTF_8);
  }

  @Test
  void structure_isCompact() {
    json.beginObject().name("a").beginArray().number(1).number(-2).beginArray().endArray();
    json.beginObject().endObject().endArray().name("b").bool(true).name("c").string("");
    json.endObject();
    assertThat(text()).isEqualTo("{\"a\":[1,-2,[],{}],\"b\":true,\"c\":\"\"}");
  }

  @Test
  void wholeNumbers_areExact() {
    Random random = new Random(1);
    StringBuilder expected = new StringBuilder("[");
    json.beginArray();
    long[] edges = {0, 9, 10, 99, 100, Long.MAX_VALUE, Long.MIN_VALUE, -1, Long.MAX_VALUE - 1};
    for (int i = 0; i < 5000; i++) {
      long value = i < edges.length ? edges[i] : random.nextLong() >> random.nextInt(64);
      json.number(value).unsigned(value);
      expected.append(i == 0 ? "" : ",").append(value).append(',');
      expected.append(Long.toUnsignedString(value));
    }
    json.endArray();
    assertThat(text()).isEqualTo(expected.append(']').toString());
  }

  @Test
  void floats_readBackAsThemselves() {
    Random random = new Random(2);
    float[] floats = new float[5000];
    double[] doubles = new double[floats.length];
    json.beginArray();
    for (int i = 0; i < floats.length; i++) {
      floats[i] = Float.intBitsToFloat(random.nextInt());
      doubles[i] = Double.longBitsToDouble(random.nextLong());
      json.number(floats[i]).number(doubles[i]);
    }
    json.endArray();
    JsonParser parser = JSON.createParser(ObjectReadContext.empty(), text());
    parser.nextToken();
    for (int i = 0; i < floats.length; i++) {
      parser.nextToken();
      assertThat(parser.getFloatValue()).isEqualTo(Float.valueOf(floats[i]));
      parser.nextToken();
      assertThat(parser.getDoubleValue()).isEqualTo(Double.valueOf(doubles[i]));
    }
  }

  @Test
  void floats_areShort() {
    json.beginArray().number(0.1f).number(1.0).number(12.2f).number(Float.NaN);
    json.number(Double.POSITIVE_INFINITY).number(Float.NEGATIVE_INFINITY).endArray();
    assertThat(text()).isEqualTo("[0.1,1.0,12.2,NaN,Infinity,-Infinity]");
  }

  @Test
  void texts_readBackAsThemselves() {
    Random random = new Random(3);
    String[] texts = new String[2000];
    json.beginArray();
    for (int i = 0; i < texts.length; i++) {
      StringBuilder text = new StringBuilder();
      for (int k = random.nextInt(i == 7 ? 20_000 : 40); k > 0; k--) {
        int point =
            switch (random.nextInt(4)) {
              case 0 -> random.nextInt(0x20);
              case 1 -> random.nextInt(0x80);
              case 2 -> random.nextInt(0xD800);
              default -> 0x10000 + random.nextInt(0x100000);
            };
        text.appendCodePoint(point);
      }
      texts[i] = text.toString();
      json.string(texts[i]);
      byte[] utf8 = texts[i].getBytes(UTF_8);
      assertThat(json.utf8(ByteBuffer.wrap(utf8), 0, utf8.length)).isTrue();
    }
    json.endArray();
    JsonParser parser = JSON.createParser(ObjectReadContext.empty(), text());
    parser.nextToken();
    for (String text : texts) {
      assertThat(parser.nextStringValue()).isEqualTo(text);
      assertThat(parser.nextStringValue()).isEqualTo(text);
    }
  }

  @Test
  void surrogate_withoutItsOtherHalf_isReplaced() {
    json.beginArray().string("a\ud800b\udc00").endArray();
    assertThat(text()).isEqualTo("[\"a\ufffdb\ufffd\"]");
  }

  @Test
  void bytes_thatAreNotUtf8_areRefused() {
    Random random = new Random(4);
    json.beginArray();
    for (int i = 0; i < 100_000; i++) {
      byte[] bytes = new byte[1 + random.nextInt(5)];
      random.nextBytes(bytes);
      boolean valid = java.util.Arrays.equals(new String(bytes, UTF_8).getBytes(UTF_8), bytes);
      assertThat(json.utf8(ByteBuffer.wrap(bytes), 0, bytes.length)).isEqualTo(valid);
    }
  }

  @Test
  void base64_isTheStandardOne() {
    Random random = new Random(5);
    StringBuilder expected = new StringBuilder("[");
    json.beginArray();
    for (int size = 0; size < 40; size++) {
      byte[] bytes = new byte[size];
      random.nextBytes(bytes);
      json.base64(ByteBuffer.wrap(bytes), 0, size);
      expected
          .append(size == 0 ? "" : ",")
          .append('"')
          .append(java.util.Base64.getEncoder().encodeToString(bytes))
          .append('"');
    }
    json.endArray();
    assertThat(text()).isEqualTo(expected.append(']').toString());
  }
}
