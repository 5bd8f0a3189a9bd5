package dev.millrace.transformers;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** What a camera notes beside a picture, as far as it says which side is up. */
final class Exif {
  /** As the picture is stored. */
  static final int UPRIGHT = 1;

  private static final int ORIENTATION = 0x0112;
  private static final int SHORT = 3;
  private static final int ENTRY_BYTES = 12;

  private Exif() {}

  /**
   * The orientation, 1 to 8 as Exif counts them; {@link #UPRIGHT} if the note has none, or is none.
   *
   * @param note in the form of TIFF, from its byte order on
   */
  static int orientation(ByteBuffer note) {
    try {
      ByteBuffer tiff = note.slice();
      short order = tiff.getShort();
      if (order != 0x4949 && order != 0x4d4d) {
        return UPRIGHT;
      }
      tiff.order(order == 0x4949 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
      int directory = tiff.getInt(4);
      int entries = Short.toUnsignedInt(tiff.getShort(directory));
      for (int i = 0; i < entries; i++) {
        int entry = directory + 2 + i * ENTRY_BYTES;
        if (Short.toUnsignedInt(tiff.getShort(entry)) == ORIENTATION
            && tiff.getShort(entry + 2) == SHORT) {
          int value = tiff.getShort(entry + 8);
          return value >= 1 && value <= 8 ? value : UPRIGHT;
        }
      }
      return UPRIGHT;
    } catch (IndexOutOfBoundsException | BufferUnderflowException e) {
      return UPRIGHT;
    }
  }

  /** The orientation in the chunk {@code eXIf} of a PNG. */
  static int ofPng(byte[] file) {
    ByteBuffer png = ByteBuffer.wrap(file);
    int at = 8;
    while (at + 8 <= file.length) {
      int length = png.getInt(at);
      int name = png.getInt(at + 4);
      if (length < 0 || length > file.length - at - 8) {
        return UPRIGHT;
      }
      if (name == name("eXIf")) {
        return orientation(png.slice(at + 8, length));
      }
      at += length + 12;
    }
    return UPRIGHT;
  }

  /** The orientation in the chunk {@code EXIF} of a WebP. */
  static int ofWebP(byte[] file) {
    ByteBuffer webp = ByteBuffer.wrap(file);
    int at = 12;
    while (at + 8 <= file.length) {
      int name = webp.getInt(at);
      int length = Integer.reverseBytes(webp.getInt(at + 4));
      if (length < 0 || length > file.length - at - 8) {
        return UPRIGHT;
      }
      if (name == name("EXIF")) {
        ByteBuffer note = webp.slice(at + 8, length);
        boolean prefixed = length > 6 && note.getInt(0) == name("Exif");
        return orientation(prefixed ? note.slice(6, length - 6) : note);
      }
      at += 8 + length + (length & 1);
    }
    return UPRIGHT;
  }

  /** Four letters as a number. */
  static int name(String letters) {
    return letters.charAt(0) << 24
        | letters.charAt(1) << 16
        | letters.charAt(2) << 8
        | letters.charAt(3);
  }
}
