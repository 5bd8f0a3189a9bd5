package dev.millrace.batcher.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/** Latency models and calibrations of known curves, in milliseconds by rows. */
final class Curves {
  static final int CAP = 64;
  static final long MILLI = 1_000_000;

  private Curves() {}

  /** A model that has seen every power of two often. */
  static LatencyModel model(IntToDoubleFunction millis) {
    LatencyModel model = new LatencyModel(CAP, new int[0]);
    for (int round = 0; round < 30; round++) {
      for (int b = 1; b <= CAP; b *= 2) {
        model.add(b, millis.applyAsDouble(b) * MILLI, 0);
      }
    }
    return model;
  }

  /** A model that has seen every size often. */
  static LatencyModel exact(IntToDoubleFunction millis, int... batchSizes) {
    LatencyModel model = new LatencyModel(CAP, batchSizes);
    for (int round = 0; round < 30; round++) {
      for (int b = 1; b <= CAP; b++) {
        model.add(b, millis.applyAsDouble(b) * MILLI, 0);
      }
    }
    return model;
  }

  static List<LatencySample> calibration(long rowElements, IntToDoubleFunction millis) {
    List<LatencySample> samples = new ArrayList<>();
    for (int round = 0; round < 3; round++) {
      for (int b = 1; b <= CAP; b *= 2) {
        samples.add(new LatencySample(rowElements, b, (long) (millis.applyAsDouble(b) * MILLI)));
      }
    }
    return samples;
  }
}
