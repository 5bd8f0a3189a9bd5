package dev.millrace.benchmarks.simulation;

/** The curves of the named sets, from a large fixed cost to one that grows faster than the rows. */
enum NamedCurve {
  /** A GPU with a large fixed cost. */
  GPU_FLAT("gpuFlat"),
  /** A GPU with a medium one. */
  GPU_MID("gpuMid"),
  /** Flat, then linear. */
  KNEE("knee"),
  /** A CPU with a small gain from batching. */
  CPU_LINEAR("cpuLin"),
  /** A CPU with a medium gain. */
  CPU_HALF("cpuHalf"),
  /** No gain. */
  CPU_NONE("cpuNone"),
  /** Batching hurts. */
  SUPERLINEAR("superlin");

  private final String label;

  NamedCurve(String label) {
    this.label = label;
  }

  ServiceCurve curve() {
    return switch (this) {
      case GPU_FLAT -> ServiceCurve.affine(4, 0.03);
      case GPU_MID -> ServiceCurve.affine(2, 0.1);
      case KNEE -> ServiceCurve.ofRows(rows -> Math.max(3, 1 + 0.12 * rows));
      case CPU_LINEAR -> ServiceCurve.affine(1, 1);
      case CPU_HALF -> ServiceCurve.affine(1, 0.3);
      case CPU_NONE -> ServiceCurve.affine(0.02, 1);
      case SUPERLINEAR -> ServiceCurve.ofRows(rows -> Math.pow(rows, 1.1));
    };
  }

  /** Whether batches serve rows clearly faster than one by one. */
  boolean hasGain() {
    return curve().capacity(Workload.CAP) > 1.2 / curve().millis(1);
  }

  @Override
  public String toString() {
    return label;
  }
}
