package dev.millrace.benchmarks.batching;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * One way to serve a model.
 *
 * @param name under which reports show it
 * @param options lines of its {@code model.yaml}
 */
record ServedSetting(String name, String options) {
  /** What nobody has to set. */
  static final ServedSetting DEFAULT = new ServedSetting("default", "");

  private static final String UNBATCHED = "unbatched-";

  /** Requests are never merged. */
  static ServedSetting unbatched(int instances) {
    return new ServedSetting(
        UNBATCHED + instances,
        """
        max-batch-size: 0
        instances: %d
        calibration-time: 0s
        """
            .formatted(instances));
  }

  /** A batch runs when it is full or its first request has waited for the delay. */
  static ServedSetting fixed(int batchSize, int delayMicros, int instances) {
    return new ServedSetting(
        String.format(Locale.ROOT, "%d-%.1fms-%d", batchSize, delayMicros / 1e3, instances),
        """
        batch-policy: fixed
        max-batch-size: %d
        max-queue-delay: %dus
        instances: %d
        calibration-time: 0s
        """
            .formatted(batchSize, delayMicros, instances));
  }

  /** The defaults, unbatched, and every combination of the plan. */
  static List<ServedSetting> all(SweepPlan plan) {
    List<ServedSetting> settings = new ArrayList<>();
    settings.add(DEFAULT);
    for (int instances : plan.instances()) {
      settings.add(unbatched(instances));
      for (int batchSize : plan.batchSizes()) {
        for (int delay : plan.delayMicros()) {
          settings.add(fixed(batchSize, delay, instances));
        }
      }
    }
    return settings;
  }

  boolean isUnbatched() {
    return name.startsWith(UNBATCHED);
  }
}
