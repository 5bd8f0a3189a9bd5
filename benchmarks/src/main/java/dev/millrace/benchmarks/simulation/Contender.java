package dev.millrace.benchmarks.simulation;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.FixedPolicy;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * A policy by the name that tables give it.
 *
 * @param queueing what its server does with the queue
 */
record Contender(String name, PolicyFactory factory, UnaryOperator<Workload> queueing)
    implements PolicyFactory {
  private static final int[] SWEEP_SIZES = {1, 2, 4, 8, 16, 32, 64};
  private static final double[] SWEEP_DELAYS = {0, .25, .5, 1, 2, 5, 10};

  /** With Millrace's own queue. */
  Contender(String name, PolicyFactory factory) {
    this(name, factory, UnaryOperator.identity());
  }

  @Override
  public BatchPolicy create(Workload workload, List<WarmUpRun> warmUp) {
    return factory.create(workload, warmUp);
  }

  @Override
  public Workload server(Workload workload) {
    return queueing.apply(workload);
  }

  Cell.Figures run(Cell cell) {
    return cell.run(this);
  }

  /** A batch size and a delay, as other servers have them. */
  static Contender fixed(int batchSize, double delayMillis) {
    return new Contender(
        "B=%d,T=%s".formatted(batchSize, delayMillis),
        (workload, warmUp) -> new FixedPolicy(batchSize, (long) (delayMillis * 1e6)));
  }

  /** Takes all, that many batches at once: what the oracle of the concurrency set is made of. */
  static List<Contender> concurrencies() {
    List<Contender> settings = new ArrayList<>();
    for (int count = 1; count <= 4; count++) {
      int batches = count;
      settings.add(
          new Contender(
              "%d at once".formatted(batches), (workload, warmUp) -> new LimitedPolicy(batches)));
    }
    return settings;
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
