package dev.millrace.transformers;

/**
 * How a row of points is made longer or shorter: each new point is a weighted mean of the old ones
 * around its place, with weights that fall off linearly to 0 at one new or one old point's
 * distance, whichever is larger.
 *
 * <p>Without the second this is bilinear interpolation; with it, no old point is passed over when a
 * picture gets smaller. It is what Pillow calls {@code BILINEAR} and torchvision bilinear with
 * antialiasing, which most models were trained with. Immutable.
 */
final class Resampling {
  private final int oldLength;
  private final int newLength;

  /** For each new point, the first old point that counts. */
  private final int[] starts;

  /** For each new point, the weights from there on. */
  private final float[][] weights;

  private Resampling(int oldLength, int newLength) {
    this.oldLength = oldLength;
    this.newLength = newLength;
    starts = new int[newLength];
    weights = new float[newLength][];
    double scale = (double) oldLength / newLength;
    double reach = Math.max(1, scale);
    for (int i = 0; i < newLength; i++) {
      double center = (i + 0.5) * scale;
      int start = Math.max(0, (int) (center - reach + 0.5));
      int end = Math.min(oldLength, (int) (center + reach + 0.5));
      starts[i] = start;
      weights[i] = weights(start, end, center, reach);
    }
  }

  private static float[] weights(int start, int end, double center, double reach) {
    double[] exact = new double[end - start];
    double sum = 0;
    for (int j = start; j < end; j++) {
      exact[j - start] = Math.max(0, 1 - Math.abs((j + 0.5 - center) / reach));
      sum += exact[j - start];
    }
    float[] weights = new float[exact.length];
    for (int j = 0; j < weights.length; j++) {
      weights[j] = (float) (exact[j] / sum);
    }
    return weights;
  }

  static Resampling of(int oldLength, int newLength) {
    return new Resampling(oldLength, newLength);
  }

  /** Every row of a plane in the new length. */
  float[] rows(float[] plane, int rows) {
    float[] made = new float[newLength * rows];
    for (int y = 0; y < rows; y++) {
      int from = y * oldLength;
      int to = y * newLength;
      for (int x = 0; x < newLength; x++) {
        float[] weight = weights[x];
        int start = from + starts[x];
        float sum = 0;
        for (int j = 0; j < weight.length; j++) {
          sum += weight[j] * plane[start + j];
        }
        made[to + x] = sum;
      }
    }
    return made;
  }

  /** Every column of a plane in the new length; goes along rows, as memory does. */
  float[] columns(float[] plane, int width) {
    float[] made = new float[newLength * width];
    for (int y = 0; y < newLength; y++) {
      int to = y * width;
      for (int j = 0; j < weights[y].length; j++) {
        float weight = weights[y][j];
        int from = (starts[y] + j) * width;
        for (int x = 0; x < width; x++) {
          made[to + x] += weight * plane[from + x];
        }
      }
    }
    return made;
  }
}
