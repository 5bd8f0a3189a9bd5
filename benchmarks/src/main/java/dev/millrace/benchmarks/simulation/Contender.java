package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.FixedPolicy;
import java.util.ArrayList;
import java.util.List;

/** A policy by the name that tables give it. */
record Contender(String name, PolicyFactory factory) implements PolicyFactory {
  private static final int[] SWEEP_SIZES = {1, 2, 4, 8, 16, 32, 64};
  private static final double[] SWEEP_DELAYS = {0, .25, .5, 1, 2, 5, 10};

  @Override
  public BatchPolicy create(Workload workload) {
    return factory.create(workload);
  }

  Cell.Figures run(Cell cell) {
    return cell.run(this);
  }

  /** A batch size and a delay, as other servers have them. */
  static Contender fixed(int batchSize, double delayMillis) {
    return new Contender(
        "B=%d,T=%s ms".formatted(batchSize, delayMillis),
        _ -> new FixedPolicy(batchSize, (long) (delayMillis * 1e6)));
  }

  /** Takes all that waits, at once. */
  static Contender greedy() {
    return new Contender("greedy", workload -> new FixedPolicy(workload.maxBatchSize(), 0));
  }

  /** The 43 fixed settings of which the oracle takes the best. */
  static List<Contender> sweep() {
    List<Contender> settings = new ArrayList<>();
    for (int size : SWEEP_SIZES) {
      for (double delay : SWEEP_DELAYS) {
        if (size > 1 || delay == 0) {
          settings.add(fixed(size, delay));
        }
      }
    }
    return settings;
  }
}
