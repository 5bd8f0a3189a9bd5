package dev.millrace.benchmarks.load;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import org.junit.jupiter.api.Test;

class AnswerReaderTest {
  private static final String TWO_ANSWERS =
      "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 5\r\nInference-Header-Content-Length: 2\r\n\r\nhello"
          + "HTTP/1.1 503 Busy\r\ncontent-length:0\r\nretry-after: 1\r\n\r\n";

  @Test
  void read_twoAnswersAtOnce() {
    AnswerReader reader = new AnswerReader();
    ByteBuf in = Unpooled.copiedBuffer(TWO_ANSWERS, ISO_8859_1);
    assertThat(reader.read(in)).isTrue();
    assertThat(reader.status()).isEqualTo(200);
    assertThat(reader.tensorBytes()).isEqualTo(3);
    assertThat(reader.read(in)).isTrue();
    assertThat(reader.status()).isEqualTo(503);
    assertThat(reader.tensorBytes()).isZero();
    assertThat(in.isReadable()).isFalse();
  }

  @Test
  void read_byteByByte() {
    AnswerReader reader = new AnswerReader();
    int answers = 0;
    for (byte one : TWO_ANSWERS.getBytes(ISO_8859_1)) {
      answers += reader.read(Unpooled.wrappedBuffer(new byte[] {one})) ? 1 : 0;
    }
    assertThat(answers).isEqualTo(2);
    assertThat(reader.status()).isEqualTo(503);
  }

  @Test
  void read_whatIsNoAnswer_isRefused() {
    assertThatThrownBy(() -> read("SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("SSH-2.0");
    assertThatThrownBy(() -> read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("Content-Length");
  }

  private static boolean read(String answer) {
    return new AnswerReader().read(Unpooled.copiedBuffer(answer, ISO_8859_1));
  }
}
