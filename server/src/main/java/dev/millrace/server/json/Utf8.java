package dev.millrace.server.json;

import java.nio.ByteBuffer;

/** The well-formed sequences of UTF-8 (RFC 3629). */
final class Utf8 {
  private Utf8() {}

  /** Bytes of the sequence of several bytes at {@code index}; 0 if it is not well-formed. */
  static int width(ByteBuffer text, int index, int end) {
    int lead = text.get(index) & 0xFF;
    int width =
        lead >= 0xC2 && lead < 0xE0 ? 2 : lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xF0 ? 3 : 4;
    if (width == 0 || end - index < width) {
      return 0;
    }
    int second = text.get(index + 1) & 0xFF;
    // No overlong forms, no surrogates, nothing above U+10FFFF.
    int low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    int high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high) {
      return 0;
    }
    for (int i = 2; i < width; i++) {
      if ((text.get(index + i) & 0xC0) != 0x80) {
        return 0;
      }
    }
    return width;
  }
}
