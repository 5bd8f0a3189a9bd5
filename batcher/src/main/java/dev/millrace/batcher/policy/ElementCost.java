package dev.millrace.batcher.policy;

/**
 * What a batch costs by the elements in it, over all shapes of a model: tau + alpha * rows *
 * elements. A first guess for shapes that were not run yet. Single-threaded.
 */
final class ElementCost {
  private static final double DECAY = 0.998;

  private double s;
  private double sz;
  private double szz;
  private double sy;
  private double szy;

  /** A batch took that long; relative errors are minimised, so that small batches count. */
  void add(int rows, long rowElements, double nanos) {
    double z = rows * (double) Math.max(1, rowElements);
    double w = 1 / (nanos * nanos);
    s = s * DECAY + w;
    sz = sz * DECAY + w * z;
    szz = szz * DECAY + w * z * z;
    sy = sy * DECAY + w * nanos;
    szy = szy * DECAY + w * z * nanos;
  }

  boolean isKnown() {
    return s > 0;
  }

  /** Nanoseconds per row element. */
  double alpha() {
    double determinant = s * szz - sz * sz;
    if (!(determinant > 1e-9 * s * szz)) {
      return szz > 0 ? 0.5 * szy / szz : 0;
    }
    double alpha = (s * szy - sz * sy) / determinant;
    if (alpha <= 0) {
      return 0;
    }
    return sy - alpha * sz < 0 ? szy / szz : alpha;
  }

  /** Nanoseconds of a batch without rows. */
  double tau() {
    return s == 0 ? 0 : Math.max(0, (sy - alpha() * sz) / s);
  }

  double predict(int rows, long rowElements) {
    return tau() + alpha() * rows * (double) Math.max(1, rowElements);
  }
}
