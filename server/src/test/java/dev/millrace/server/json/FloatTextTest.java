package dev.millrace.server.json;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Says what {@link Float#toString} says, or nothing. */
class FloatTextTest {
  private final byte[] bytes = new byte[3 + FloatText.MOST_BYTES];

  private boolean writes(float value) {
    int end = FloatText.write(value, bytes, 3);
    if (end == 3) {
      return false;
    }
    String text = new String(bytes, 3, end - 3, US_ASCII);
    if (!text.equals(Float.toString(value))) {
      assertThat(text).isEqualTo(Float.toString(value));
    }
    return true;
  }

  @Test
  void floatsOfItsRange_areWritten() {
    int step = 101; // of 278 million
    int from = Float.floatToRawIntBits(0.001f);
    int to = Float.floatToRawIntBits(1e7f);
    for (int bits = from; bits < to; bits += step) {
      float value = Float.intBitsToFloat(bits);
      assertThat(writes(value) && writes(-value)).isTrue();
    }
  }

  @Test
  void floatsOfFewDigits() {
    for (int i = 1; i < 2_000_000; i++) {
      assertThat(writes(i / 1000f)).isTrue();
    }
    Random random = new Random(1);
    for (int i = 0; i < 1_000_000; i++) {
      writes(random.nextInt(100_000_000) / 100f);
      writes((float) random.nextGaussian() * 10_000);
    }
  }

  @Test
  void floatsAroundEveryPowerOfTwo_andOfTen() {
    for (int power = Float.MIN_EXPONENT; power <= Float.MAX_EXPONENT; power++) {
      around(Math.scalb(1f, power));
    }
    for (int power = -12; power <= 12; power++) {
      around((float) Math.pow(10, power));
    }
  }

  private void around(float value) {
    int bits = Float.floatToRawIntBits(value);
    for (int step = -1000; step <= 1000; step++) {
      writes(Float.intBitsToFloat(bits + step));
      writes(-Float.intBitsToFloat(bits + step));
    }
  }

  @Test
  void others_areNotWritten() {
    float[] others = {
      0,
      -0f,
      0.00099999f,
      1e7f,
      -1e7f,
      Float.MAX_VALUE,
      Float.MIN_VALUE,
      Float.NaN,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY
    };
    for (float other : others) {
      assertThat(writes(other)).isFalse();
    }
  }
}
