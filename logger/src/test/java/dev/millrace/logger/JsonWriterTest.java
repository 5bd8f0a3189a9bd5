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
    for (int i = 0; i < 1000; i++) {
      float any = Float.intBitsToFloat(random.nextInt());
      assertAsJavaSaysIt(Float.isFinite(any) ? any : 0);
    }
    assertAsJavaSaysIt(-0f);
    assertAsJavaSaysIt(Float.MIN_VALUE);
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
    json.begin().beginObject().name("\n".repeat(10_000)).known("x").endObject();
    assertThat(text()).isEqualTo("{\"" + "\\n".repeat(10_000) + "\":\"x\"}");
    json.begin().known("x".repeat(10_000)).known("y".repeat(10_000));
    assertThat(text()).isEqualTo("\"" + "x".repeat(10_000) + "\",\"" + "y".repeat(10_000) + "\"");
  }
}
