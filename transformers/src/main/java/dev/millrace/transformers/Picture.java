package dev.millrace.transformers;

import java.util.Arrays;

/**
 * A picture as numbers from 0 to 255.
 *
 * @param planes red, green and blue, or the brightness of a grey picture alone; each of width x
 *     height numbers, row by row
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Picture(int width, int height, float[]... planes) {
  /** Red, green or blue, 0 to 2. */
  float[] plane(int colour) {
    return planes[planes.length == 1 ? 0 : colour];
  }

  /** A part of it; must lie inside. */
  Picture crop(int left, int top, int cropWidth, int cropHeight) {
    if (cropWidth == width && cropHeight == height) {
      return this;
    }
    float[][] cut = new float[planes.length][cropWidth * cropHeight];
    for (int i = 0; i < cut.length; i++) {
      for (int y = 0; y < cropHeight; y++) {
        System.arraycopy(planes[i], (top + y) * width + left, cut[i], y * cropWidth, cropWidth);
      }
    }
    return new Picture(cropWidth, cropHeight, cut);
  }

  /** It in the middle of a larger one of that grey. */
  Picture pad(int padWidth, int padHeight, float grey) {
    int left = (padWidth - width) / 2;
    int top = (padHeight - height) / 2;
    float[][] padded = new float[planes.length][padWidth * padHeight];
    for (int i = 0; i < padded.length; i++) {
      Arrays.fill(padded[i], grey);
      for (int y = 0; y < height; y++) {
        System.arraycopy(planes[i], y * width, padded[i], (top + y) * padWidth + left, width);
      }
    }
    return new Picture(padWidth, padHeight, padded);
  }

  /**
   * It as it looks when it is held as its orientation says.
   *
   * @param orientation 1 to 8, as Exif counts them: where the first row and column belong
   */
  Picture turned(int orientation) {
    if (orientation == Exif.UPRIGHT) {
      return this;
    }
    boolean lying = orientation >= 5;
    int newWidth = lying ? height : width;
    int newHeight = lying ? width : height;
    float[][] turned = new float[planes.length][width * height];
    for (int y = 0; y < newHeight; y++) {
      for (int x = 0; x < newWidth; x++) {
        int fromX = lying ? y : x;
        int fromY = lying ? x : y;
        if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) {
          fromX = width - 1 - fromX;
        }
        if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {
          fromY = height - 1 - fromY;
        }
        for (int i = 0; i < planes.length; i++) {
          turned[i][y * newWidth + x] = planes[i][fromY * width + fromX];
        }
      }
    }
    return new Picture(newWidth, newHeight, turned);
  }

  /** It in another size, by {@link Resampling}. */
  Picture resize(int newWidth, int newHeight) {
    if (newWidth == width && newHeight == height) {
      return this;
    }
    Resampling across = Resampling.of(width, newWidth);
    Resampling down = Resampling.of(height, newHeight);
    float[][] resized = new float[planes.length][];
    for (int i = 0; i < resized.length; i++) {
      resized[i] = down.columns(across.rows(planes[i], height), newWidth);
    }
    return new Picture(newWidth, newHeight, resized);
  }

  /** The brightness of each point, as ITU-R BT.601 weighs the colours. */
  float[] grey() {
    if (planes.length == 1) {
      return planes[0];
    }
    float[] grey = new float[width * height];
    for (int i = 0; i < grey.length; i++) {
      grey[i] = 0.299f * planes[0][i] + 0.587f * planes[1][i] + 0.114f * planes[2][i];
    }
    return grey;
  }
}
