package dev.millrace.transformers;

import java.nio.ByteBuffer;

/**
 * What the segments of a JPEG say before its first scan.
 *
 * @param components 1 for grey, 3 for colours, 4 for inks
 * @param inksAreYcck whether the first three of four components are brightness and colour, and not
 *     cyan, magenta and yellow
 * @param orientation as {@link Exif} counts them
 */
record JpegHead(int components, boolean inksAreYcck, int orientation) {
  private static final int EXIF = 0xe1;
  private static final int ADOBE = 0xee;
  private static final int START_OF_SCAN = 0xda;
  private static final int END_OF_IMAGE = 0xd9;

  /** The head of a file; as far as it goes, if it ends before. */
  static JpegHead of(byte[] file) {
    ByteBuffer jpeg = ByteBuffer.wrap(file);
    int components = 0;
    boolean ycck = false;
    int orientation = Exif.UPRIGHT;
    int at = 2;
    while (at + 4 <= file.length && file[at] == (byte) 0xff) {
      int marker = Byte.toUnsignedInt(file[at + 1]);
      if (marker == 0xff) { // may be filled up
        at++;
        continue;
      }
      if (marker == START_OF_SCAN || marker == END_OF_IMAGE) {
        break;
      }
      int length = Short.toUnsignedInt(jpeg.getShort(at + 2));
      int start = at + 4;
      int size = Math.min(length - 2, file.length - start);
      if (size < 0) {
        break;
      }
      if (isFrame(marker) && size > 5) {
        components = Byte.toUnsignedInt(file[start + 5]);
      } else if (marker == ADOBE && size > 11 && jpeg.getInt(start) == Exif.name("Adob")) {
        ycck = file[start + 11] == 2;
      } else if (marker == EXIF && size > 6 && jpeg.getInt(start) == Exif.name("Exif")) {
        orientation = Exif.orientation(jpeg.slice(start + 6, size - 6));
      }
      at += 2 + length;
    }
    return new JpegHead(components, ycck, orientation);
  }

  /** Whether a segment says what the picture is made of. */
  private static boolean isFrame(int marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
  }
}
