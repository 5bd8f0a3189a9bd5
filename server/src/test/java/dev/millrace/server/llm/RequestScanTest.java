package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RequestScanTest {
  private static ByteBuf bytes(String text) {
    return Unpooled.copiedBuffer(text, UTF_8);
  }

  private static String edited(String body, String name, boolean usage) {
    ByteBuf bytes = bytes(body);
    return edited(RequestScan.of(bytes), bytes, name.isEmpty() ? null : name, usage);
  }

  private static String edited(
      RequestScan scan, ByteBuf body, @Nullable String name, boolean usage) {
    ByteBuf out = scan.edited(body, name, usage, ByteBufAllocator.DEFAULT);
    try {
      return out.toString(UTF_8);
    } finally {
      out.release();
    }
  }

  @Test
  void of_readsWhatRoutingNeeds() {
    RequestScan scan =
        RequestScan.of(
            bytes(
                "{\"messages\":[{\"model\":\"inner\",\"stream\":false}],\"model\":\"a\\\"b\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"u\",\"n\":[{}]}"));

    assertThat(scan.model()).isEqualTo("a\"b");
    assertThat(scan.isStream()).isTrue();
    assertThat(scan.asksForUsage()).isTrue();
    assertThat(scan.session()).isEqualTo("u");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "{\"model\":\"a\",\"x\":1}||false|{\"model\":\"a\",\"x\":1}",
        "{\"x\":\"é\", \"model\" : \"a\" }|b/\"c|false|{\"x\":\"é\", \"model\" : \"b/\\\"c\" }",
        "{\"x\":1}|b|false|{\"model\":\"b\",\"x\":1}",
        "{}|b|false|{\"model\":\"b\"}",
        "{\"model\":null}|b|false|{\"model\":\"b\"}",
        "{\"model\":\"a\"}||true|{\"stream_options\":{\"include_usage\":true},\"model\":\"a\"}",
        "{\"stream_options\":{},\"model\":\"a\"}|b|true|{\"stream_options\":{\"include_usage\":true},\"model\":\"b\"}",
        "{\"stream_options\": {\"y\":[1]}}||true|{\"stream_options\": {\"include_usage\":true,\"y\":[1]}}",
        "{\"stream_options\":{\"include_usage\":false,\"y\":1}}||true|{\"stream_options\":{\"include_usage\":true,\"y\":1}}",
        "{\"stream_options\":null}||true|{\"stream_options\":{\"include_usage\":true}}",
      })
  void edited_changesNothingElse(String body, String name, boolean usage, String expected) {
    assertThat(edited(body, name == null ? "" : name, usage)).isEqualTo(expected);
  }

  @Test
  void prefixHash_isOfTheBeginningOfThePrompt() {
    ByteBuf a = bytes("{\"model\":\"m\",\"prompt\":\"the same beginning, one end\"}");
    ByteBuf b = bytes("{\"prompt\":\"the same beginning, another\",\"model\":\"m\"}");
    ByteBuf c = bytes("{\"prompt\":\"something else at all\",\"model\":\"m\"}");

    int hash = RequestScan.of(a).prefixHash(a, 16);
    assertThat(RequestScan.of(b).prefixHash(b, 16)).isEqualTo(hash);
    assertThat(RequestScan.of(c).prefixHash(c, 16)).isNotEqualTo(hash);
    assertThat(RequestScan.of(b).prefixHash(b, 1024))
        .isNotEqualTo(RequestScan.of(a).prefixHash(a, 1024));
  }

  @Test
  void of_whatIsNoJson_saysWhatAndWhere() {
    assertThatThrownBy(() -> RequestScan.of(bytes("{\"model\": nope}")))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("the request's body is not JSON")
        .hasMessageContaining("at byte 1");
    assertThatThrownBy(() -> RequestScan.of(Unpooled.EMPTY_BUFFER))
        .hasMessageContaining("no body; expected a JSON object");
  }

  private static final String FILE =
      "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--a name=\"model\"\r\n\r\nnone\r\n";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Content-Disposition: form-data; name=\"model\"",
        "content-disposition: form-data; name=model\r\nContent-Type: text/plain; charset=utf-8",
        "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"model\"; x=y",
      })
  void ofForm_findsTheModel_whichCanBeChanged(String head) {
    String form = FILE + "--b\r\n" + head + "\r\n\r\n%s\r\n--b--\r\n";
    ByteBuf body = bytes(form.formatted("whisper"));

    RequestScan scan = RequestScan.ofForm(body);

    assertThat(scan.model()).isEqualTo("whisper");
    assertThat(edited(scan, body, "org/\"large\"", false))
        .isEqualTo(form.formatted("org/\"large\""));
    assertThat(edited(scan, body, null, true)).isEqualTo(form.formatted("whisper"));
  }

  @Test
  void ofForm_withoutModel_canGetOne() {
    ByteBuf body = bytes(FILE + "--b--\r\n");

    RequestScan scan = RequestScan.ofForm(body);

    assertThat(scan.model()).isEmpty();
    assertThat(edited(scan, body, "large", false))
        .isEqualTo(
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nlarge\r\n"
                + FILE
                + "--b--\r\n");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "no form", "--b", "--b\r\n", "--b\r\nx\r\n\r\n", "--b\r\n\r\n\r\n--b--"})
  void ofForm_whatIsNone_namesNoModel(String body) {
    assertThat(RequestScan.ofForm(bytes(body)).model()).isEmpty();
  }
}
