package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class JsonWriterTest {
  private final JsonWriter json = new JsonWriter();

  private String text() {
    return new String(json.toBytes(), UTF_8);
  }

  private void assertAsJavaSaysIt(float number) {
    json.begin().number(number);
    assertThat(text()).isEqualTo(Float.toString(number));
  }

  @Test
  void floats_areAsShortAsJavaWritesThem() {
    Random random = new Random(7);
    for (int i = 0; i < 200_000; i++) {
      assertAsJavaSaysIt(random.nextFloat() - 0.5f);
      assertAsJavaSaysIt((float) random.nextGaussian() * 10_000);
      assertAsJavaSaysIt(random.nextInt(2_000_000) / 1000f);
      float any = Float.intBitsToFloat(random.nextInt());
      assertAsJavaSaysIt(Float.isFinite(any) ? any : 0);
    }
  }

  @Test
  void floats_aroundEveryPowerOfTwo() {
    for (int power = Float.MIN_EXPONENT; power <= Float.MAX_EXPONENT; power++) {
      int bits = Float.floatToRawIntBits(Math.scalb(1f, power));
      for (int step = -3; step <= 3; step++) {
        assertAsJavaSaysIt(Float.intBitsToFloat(bits + step));
        assertAsJavaSaysIt(-Float.intBitsToFloat(bits + step));
      }
    }
  }

  @Test
  void floats_aroundEveryPowerOfTen() {
    for (int power = -10; power <= 10; power++) {
      int bits = Float.floatToRawIntBits((float) Math.pow(10, power));
      for (int step = -1000; step <= 1000; step++) {
        assertAsJavaSaysIt(Float.intBitsToFloat(bits + step));
      }
    }
    assertAsJavaSaysIt(0f);
    assertAsJavaSaysIt(-0f);
    assertAsJavaSaysIt(Float.MIN_VALUE);
    assertAsJavaSaysIt(Float.MAX_VALUE);
  }

  @Test
  void wholeNumbers_ofEveryLength() {
    for (long number = 1; number > 0; number *= 10) {
      for (long near = number - 1; near <= number + 1; near++) {
        json.begin().beginArray().number(near).number(-near).endArray();
        assertThat(text()).isEqualTo("[" + near + "," + -near + "]");
      }
    }
    json.begin().beginArray().number(Long.MIN_VALUE).number(Long.MAX_VALUE).endArray();
    assertThat(text()).isEqualTo("[" + Long.MIN_VALUE + "," + Long.MAX_VALUE + "]");
  }

  @Test
  void texts_areEscaped() {
    json.begin().beginArray();
    json.string("").string("plain").string("a\"b\\c\n\u0001").string("é€\uD83D\uDE00\uD800");
    json.endArray();
    assertThat(text()).isEqualTo("[\"\",\"plain\",\"a\\\"b\\\\c\\n\\u0001\",\"é€\uD83D\uDE00?\"]");
    json.begin().string("\n".repeat(10_000) + "é".repeat(10_000));
    assertThat(text()).isEqualTo("\"" + "\\n".repeat(10_000) + "é".repeat(10_000) + "\"");
  }

  @Test
  void knownTexts_areWrittenAsOthers() {
    for (int i = 0; i < 3000; i++) {
      json.begin().beginObject();
      json.name("name\n" + i % 1500).known("text").name("same").known("te\"xt");
      json.endObject();
      assertThat(text()).isEqualTo("{\"name\\n" + i % 1500 + "\":\"text\",\"same\":\"te\\\"xt\"}");
    }
    json.begin().known("x".repeat(10_000)).known("y".repeat(10_000));
    assertThat(text()).isEqualTo("\"" + "x".repeat(10_000) + "\",\"" + "y".repeat(10_000) + "\"");
  }
}
