package dev.millrace.server.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.millrace.api.InferenceException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Random;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

@ExtendWith(NettyLeakExtension.class)
class ContentEncodingTest {
  private static final ByteBufAllocator ALLOCATOR = ByteBufAllocator.DEFAULT;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "                              | IDENTITY",
        "gzip                          | GZIP",
        "x-gzip                        | GZIP",
        "deflate                       | DEFLATE",
        "gzip, deflate, br             | GZIP",
        "br, zstd                      | IDENTITY",
        "*                             | IDENTITY",
        "deflate;q=0.5, gzip;q=0.8     | GZIP",
        "gzip;q=0.2,deflate ; q=0.9    | DEFLATE",
        "identity;q=1, gzip;q=0.5      | IDENTITY",
        "gzip;q=0                      | IDENTITY",
        "gzip;q=junk, deflate;q=0.1    | DEFLATE",
        ", ;q=1                        | IDENTITY",
      })
  void accepted_isTheBestOne(String header, ContentEncoding expected) {
    assertThat(ContentEncoding.accepted(header)).isEqualTo(expected);
  }

  @Test
  void encoding_thatIsUnknown_isNull() {
    assertThat(ContentEncoding.of("br")).isNull();
    assertThat(ContentEncoding.of("gzip, gzip")).isNull();
    assertThat(ContentEncoding.of(null)).isEqualTo(ContentEncoding.IDENTITY);
    assertThat(ContentEncoding.of(" GZIP ")).isEqualTo(ContentEncoding.GZIP);
  }

  @ParameterizedTest
  @EnumSource(names = {"GZIP", "DEFLATE"})
  void body_roundTrips(ContentEncoding encoding) {
    Random random = new Random(7);
    for (int size : new int[] {0, 1, 100, 4096, 300_000}) {
      byte[] bytes = new byte[size];
      random.nextBytes(bytes);
      java.util.Arrays.fill(bytes, 0, size / 2, (byte) 'a');
      ByteBuf compressed = ALLOCATOR.directBuffer(16);
      ByteBuf front = Unpooled.copiedBuffer(bytes, 0, size / 3);
      ByteBuf back = Unpooled.copiedBuffer(bytes, size / 3, size - size / 3);
      encoding.compress(List.of(front, back), compressed);
      ByteBuf out = encoding.decompress(ALLOCATOR, compressed, Math.max(1, size));
      assertThat(ByteBufUtil.getBytes(out)).isEqualTo(bytes);
      out.release();
      compressed.release();
    }
  }

  @Test
  void deflate_withoutZlib_isTaken() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (var out = new DeflaterOutputStream(bytes, new Deflater(9, true))) {
      out.write("hello hello hello".getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }
    ByteBuf out =
        ContentEncoding.DEFLATE.decompress(
            ALLOCATOR, Unpooled.wrappedBuffer(bytes.toByteArray()), 100);
    assertThat(out.toString(java.nio.charset.StandardCharsets.UTF_8))
        .isEqualTo("hello hello hello");
    out.release();
  }

  @Test
  void bomb_isStopped() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (var out = new GZIPOutputStream(bytes)) {
      out.write(new byte[10 << 20]);
    }
    assertThatExceptionOfType(ContentEncoding.TooLarge.class)
        .isThrownBy(() ->
            ContentEncoding.GZIP.decompress(
                ALLOCATOR, Unpooled.wrappedBuffer(bytes.toByteArray()), 1 << 20));
  }

  @ParameterizedTest
  @EnumSource(names = {"GZIP", "DEFLATE"})
  void garbage_isRefused(ContentEncoding encoding) {
    assertThatExceptionOfType(InferenceException.class)
        .isThrownBy(() ->
            encoding.decompress(
                ALLOCATOR, Unpooled.wrappedBuffer(new byte[] {9, 9, 9, 9}), 1 << 20))
        .withMessageStartingWith("failed to decompress the");
  }

  @ParameterizedTest
  @EnumSource(names = {"GZIP", "DEFLATE"})
  void body_thatIsCutOff_isRefused(ContentEncoding encoding) {
    ByteBuf compressed = ALLOCATOR.directBuffer(16);
    encoding.compress(List.of(Unpooled.wrappedBuffer(new byte[1000])), compressed);
    ByteBuf half = compressed.slice(0, compressed.readableBytes() / 2);
    assertThatExceptionOfType(InferenceException.class)
        .isThrownBy(() -> encoding.decompress(ALLOCATOR, half, 1 << 20))
        .withMessageStartingWith("failed to decompress the");
    compressed.release();
  }
}
