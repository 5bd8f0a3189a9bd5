package dev.millrace.benchmarks.simulation;

/** The curves of the named sets, from a large fixed cost to one that grows faster than the rows. */
enum NamedCurve {
  /** A GPU with a large fixed cost. */
  GPU_FLAT("gpuFlat", ServiceCurve.affine(4, 0.03)),
  /** A GPU with a medium one. */
  GPU_MID("gpuMid", ServiceCurve.affine(2, 0.1)),
  /** Flat, then linear. */
  KNEE("knee", ServiceCurve.ofRows(rows -> Math.max(3, 1 + 0.12 * rows))),
  /** A CPU with a small gain from batching. */
  CPU_LINEAR("cpuLin", ServiceCurve.affine(1, 1)),
  /** A CPU with a medium gain. */
  CPU_HALF("cpuHalf", ServiceCurve.affine(1, 0.3)),
  /** No gain. */
  CPU_NONE("cpuNone", ServiceCurve.affine(0.02, 1)),
  /** Batching hurts. */
  SUPERLINEAR("superlin", ServiceCurve.ofRows(rows -> Math.pow(rows, 1.1)));

  private final String label;
  private final ServiceCurve curve;

  NamedCurve(String label, ServiceCurve curve) {
    this.label = label;
    this.curve = curve;
  }

  ServiceCurve curve() {
    return curve;
  }

  /** Whether a batch of many rows serves them clearly faster than one by one. */
  boolean hasGain() {
    return 64 / curve.millis(64) > 1.2 / curve.millis(1);
  }

  @Override
  public String toString() {
    return label;
  }
}
