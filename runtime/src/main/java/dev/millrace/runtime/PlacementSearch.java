package dev.millrace.runtime;

import dev.millrace.api.Ticker;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Measures how fast a model runs in several instances and batch sizes, within a time, and compares
 * ways to place it.
 *
 * <p>What counts is the rows a second that a placement reaches while a number of rows are in it,
 * shared out evenly among its instances: <i>n</i> rows are <i>c</i> batches of <i>n/c</i> at once.
 * The best over all <i>n</i> up to the largest batch is its capacity. So a model that computes much
 * for each row wins by running side by side, where each instance adds its share of the processors
 * and nothing is lost to a batch; one that is bound by memory or by what each run costs wins by
 * fewer, larger batches. Capacities that differ by less than {@value #TIE} are the same, and then
 * fewer instances are better, because they take larger batches.
 *
 * <p>A run of several threads ends when the last of them does, and while a model serves,
 * connections want the processors too: a thread that waits for one keeps the others spinning.
 * Measured without connections that does not show, so more threads have to win by {@value
 * #SERVING}. On 2 processors a model of 0.1 ms, equal in both, answered 6,000 to 7,000 requests a
 * second in one instance of two threads and up to twice as many in two of one.
 */
final class PlacementSearch {
  private static final Logger LOG = LoggerFactory.getLogger(PlacementSearch.class);

  static final double TIE = 0.04;

  /** What a run of several threads loses to a server that works beside it. */
  static final double SERVING = 0.2;

  private final Ticker ticker;
  private final TreeSet<Integer> sizes = new TreeSet<>();
  private final int maxRows;

  /**
   * A search.
   *
   * @param maxRows most rows of one batch, at least 1
   * @param moreSizes numbers of rows to measure beside 1, 2, 4 and so on
   */
  PlacementSearch(Ticker ticker, int maxRows, Collection<Integer> moreSizes) {
    this.ticker = ticker;
    this.maxRows = maxRows;
    for (int rows = 1; rows > 0 && rows <= maxRows; rows *= 2) {
      sizes.add(rows);
    }
    sizes.add(maxRows);
    moreSizes.stream().filter(rows -> rows >= 1 && rows <= maxRows).forEach(sizes::add);
  }

  /** A loaded model to measure. */
  interface Bench extends AutoCloseable {
    /** Whether a batch of that many rows can be made. */
    boolean takes(int rows);

    /**
     * Nanoseconds that one run takes while {@code concurrent} of them go on at once, each in its
     * own instance; at least 1.
     *
     * @param untilNanos when to be content with what was measured
     * @throws dev.millrace.api.InferenceException if a run fails
     */
    long runNanos(int concurrent, int rows, long untilNanos);

    @Override
    void close();
  }

  /** Batches at once, and rows of each. */
  private record Load(int concurrent, int rows) {
    long allRows() {
      return (long) concurrent * rows;
    }
  }

  /** What was measured with one number of threads for each run. */
  final class Speeds {
    private final Map<Load, Long> nanos =
        new TreeMap<>(Comparator.comparingLong(Load::allRows).thenComparingInt(Load::concurrent));
    private boolean failed;

    /** Times of lone batches, by their rows, ascending. */
    SortedMap<Integer, Long> curve() {
      SortedMap<Integer, Long> curve = new TreeMap<>();
      nanos.forEach((load, time) -> {
        if (load.concurrent == 1) {
          curve.put(load.rows, time);
        }
      });
      return curve;
    }

    /** Takes the better of each time that was measured twice. */
    void improve(Speeds again) {
      again.nanos.forEach((load, time) -> nanos.merge(load, time, Math::min));
    }

    /** The most rows in that many instances that were measured. */
    private long mostRows(int instances) {
      long most = 0;
      for (Load load : nanos.keySet()) {
        most = load.concurrent == instances ? Math.max(most, load.allRows()) : most;
      }
      return most;
    }

    /** Rows a second of that many instances with at most so many rows in them. */
    private double capacity(int instances, long mostRows) {
      double best = 0;
      for (Map.Entry<Load, Long> entry : nanos.entrySet()) {
        Load load = entry.getKey();
        if (load.concurrent == instances && load.allRows() <= Math.max(instances, mostRows)) {
          best = Math.max(best, load.allRows() * 1e9 / entry.getValue());
        }
      }
      return best;
    }

    /** As in {@code 1x1 160 us, 2x1 170 us}: batches at once, rows of each, time of a run. */
    @Override
    public String toString() {
      return nanos.entrySet().stream()
          .map(entry ->
              "%dx%d %d us"
                  .formatted(
                      entry.getKey().concurrent, entry.getKey().rows, entry.getValue() / 1000))
          .collect(Collectors.joining(", "));
    }

    private Optional<Long> expected(Load load) {
      Long best = null;
      for (Map.Entry<Load, Long> entry : nanos.entrySet()) {
        Load known = entry.getKey();
        if (known.rows <= load.rows && known.concurrent <= load.concurrent) {
          long scaled = entry.getValue() * load.rows / known.rows;
          best = known.concurrent == load.concurrent || best == null ? scaled : best;
        }
      }
      return Optional.ofNullable(best);
    }

    private boolean measure(Bench bench, Load load, long untilNanos) {
      long now = ticker.nanos();
      long expected = expected(load).orElse(0L);
      if (failed || now + 2 * expected - untilNanos >= 0) {
        return false;
      }
      try {
        nanos.put(load, bench.runNanos(load.concurrent, load.rows, untilNanos));
        return true;
      } catch (RuntimeException e) {
        LOG.debug("{} runs of {} rows failed", load.concurrent, load.rows, e);
        failed = true;
        return false;
      }
    }
  }

  /**
   * Measures numbers of instances, the fewest rows first, until the next would not fit the time.
   *
   * @param instances how many at once; 1 is measured in any case
   */
  Speeds measure(Bench bench, Collection<Integer> instances, long untilNanos) {
    List<Load> loads = new ArrayList<>();
    TreeSet<Integer> counts = new TreeSet<>(instances);
    counts.add(1);
    for (int concurrent : counts) {
      for (int rows = 1; rows > 0 && rows <= maxRows; rows *= 2) {
        if ((rows == 1 || (long) concurrent * rows <= maxRows) && bench.takes(rows)) {
          loads.add(new Load(concurrent, rows));
        }
      }
    }
    loads.sort(Comparator.comparingLong(Load::allRows).thenComparingInt(Load::concurrent));
    Speeds speeds = new Speeds();
    for (Load load : loads) {
      if (!speeds.measure(bench, load, untilNanos)) {
        break;
      }
    }
    return speeds;
  }

  /** Measures lone batches of the sizes that are missing, until the next would not fit the time. */
  void complete(Speeds speeds, Bench bench, long untilNanos) {
    for (int rows : sizes) {
      Load load = new Load(1, rows);
      if (!speeds.nanos.containsKey(load)
          && (!bench.takes(rows) || !speeds.measure(bench, load, untilNanos))) {
        break;
      }
    }
  }

  /**
   * The best of these placements; empty if none was measured.
   *
   * @param measured speeds by threads for each run
   */
  static Optional<Placement> best(List<Placement> placements, Map<Integer, Speeds> measured) {
    List<Placement> known = new ArrayList<>();
    long mostRows = Long.MAX_VALUE;
    for (Placement placement : placements) {
      Speeds speeds = measured.get(placement.threads());
      if (speeds != null && speeds.mostRows(placement.instances()) > 0) {
        known.add(placement);
        mostRows = Math.min(mostRows, speeds.mostRows(placement.instances()));
      }
    }
    double most = 0;
    for (Placement placement : known) {
      most = Math.max(most, capacity(placement, measured, mostRows));
    }
    int threads = Integer.MAX_VALUE;
    for (Placement placement : known) {
      if (capacity(placement, measured, mostRows) >= (1 - SERVING) * most) {
        threads = Math.min(threads, placement.threads());
      }
    }
    most = 0;
    for (Placement placement : known) {
      if (placement.threads() == threads) {
        most = Math.max(most, capacity(placement, measured, mostRows));
      }
    }
    Placement best = null;
    for (Placement placement : known) {
      if (placement.threads() == threads
          && capacity(placement, measured, mostRows) >= (1 - TIE) * most
          && (best == null || placement.instances() < best.instances())) {
        best = placement;
      }
    }
    return Optional.ofNullable(best);
  }

  private static double capacity(
      Placement placement, Map<Integer, Speeds> measured, long mostRows) {
    Speeds speeds = measured.get(placement.threads());
    return speeds == null ? 0 : speeds.capacity(placement.instances(), mostRows);
  }
}
