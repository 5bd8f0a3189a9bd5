package dev.millrace.batcher.policy;

import java.util.Arrays;
import java.util.List;

/**
 * How long a batch of b rows of one shape takes, lat(b), learned while serving. Single-threaded;
 * allocates nothing after construction. Times are nanoseconds.
 */
final class LatencyModel {
  /*
   * Each size has a mean, a mean absolute deviation and a weight of its own: one slot per size up to
   * 64, four per octave above. Over them lies a line tau + alpha*b (both >= 0), fitted by least
   * squares of relative errors. Means follow their samples by 1/(weight+1), later by 5 %, so that
   * they track slow drift.
   *
   * Robustness. A sample that is further from its mean than 20 %, or 4 deviations if that is more, is
   * off: the mean moves only as if it were at that edge (a garbage collection, a page fault). Three in
   * a row on the same side are the truth. If no sample of another size was in line meanwhile, all
   * sizes are scaled by what the three show: what changes all at once (clock speed, a noisy
   * neighbour) must not pass for a difference between sizes, which is batching gain. Otherwise that
   * size begins anew. A size without samples for a minute loses weight until the line rules.
   *
   * Sizes that were not run for 64 samples follow the level: a moving average of how far samples are
   * from a curve that is kept as it was (after 1, 2, 4, 8, ... samples). If they were scaled along with
   * the others instead, many short disturbances would carry them off, step by step, because a speed
   * does not come back in the steps in which it went: a busy machine made 3 rows cost 126 seconds.
   *
   * Prediction. The line times a ratio: at a sampled size its own mean over the line, drawn towards
   * 1 by as much as noise is larger than what sizes differ from the line anyway (empirical Bayes); between sampled sizes the ratio is interpolated, beyond them it is the last.
   * So a knee or a power law is followed where it was seen. Then neighbours that descend are pooled
   * (isotonic regression): a larger batch never takes less time. If batches are padded, every size
   * is the padded one.
   *
   * A prior is two pseudo-samples of negligible weight, at 1 and at the cap: it decides only what
   * samples leave open, e.g. the slope while all batches had the same size. Without knowledge the
   * slope is a tenth of the fixed part per row: enough gain to try larger batches, little enough not
   * to promise that they are free.
   *
   * Mean and mean deviation, not variance, are what TCP keeps of its round trips (RFC 6298).
   */

  private static final int EXACT = 64;
  private static final double MAX_WEIGHT = 20;
  private static final double MIN_GAIN = 0.05;
  private static final double FARTHEST = 3;
  private static final double OFF_LEAST = 0.2;
  private static final double OFF_DEVIATIONS = 4;
  private static final int OFF_IN_A_ROW = 3;
  private static final double LARGEST_SHIFT = 4;
  private static final double UNSEEN_WEIGHT = 1;
  private static final double DEVIATION_TO_VARIANCE = 1.57; // of a normal distribution, pi/2
  private static final double LEAST_DOUBT = 0.05;
  private static final double MOST_DOUBT = 10;
  private static final double DOUBT_TIMES_WEIGHT = 40;
  private static final double PRIOR_WEIGHT = 0.02;
  private static final double UNKNOWN_SLOPE = 0.1;
  private static final double UNKNOWN_DEVIATION = 0.05;
  private static final double DEVIATIONS_TO_BE_SAFE = 1.25;
  private static final long AT_LOAD = Long.MIN_VALUE;
  private static final long STALE_NANOS = 60_000_000_000L;
  private static final double STALE_WEIGHT = 0.5;
  private static final double STALE_DECAY = 0.9;
  private static final double KNOWN_WEIGHT = 3;
  private static final double LEVEL_GAIN = 0.05;
  private static final int FOLLOWS_AFTER = 64;

  private final int cap;
  private final int[] padded;
  private final double[] size;
  private final double[] mean;
  private final double[] deviation;
  private final double[] weight;
  private final long[] last;
  private final long[] number;
  private final int[] off;
  private final double[] table;
  private final double[] kept;
  private final double[] poolValue;
  private final double[] poolWeight;
  private final int[] poolEnd;

  private double tau;
  private double alpha;
  private double priorTau;
  private double priorAlpha;
  private boolean hasPrior;
  private double relativeDeviation = UNKNOWN_DEVIATION;
  private int offInARow;
  private long offSince;
  private double offSum;
  private double level;
  private double followed;
  private long samples;
  private int version;

  private int peakVersion = -1;
  private int peakCap;
  private double peak;

  private int nearVersion = -1;
  private int nearCap;
  private double nearNanos;
  private double near;

  /**
   * @param maxBatchSize the largest size that is of interest
   * @param batchSizes ascending sizes that batches are padded to; empty for none
   */
  LatencyModel(int maxBatchSize, int[] batchSizes) {
    cap = Math.max(1, maxBatchSize);
    padded = new int[Math.min(cap, 4096) + 1];
    int next = 0;
    for (int b = 0; b < padded.length; b++) {
      while (next < batchSizes.length && batchSizes[next] < b) {
        next++;
      }
      padded[b] = next < batchSizes.length ? batchSizes[next] : b;
    }
    int slots = slot(Math.max(cap, padded[padded.length - 1])) + 1;
    size = new double[slots];
    for (int i = 1; i < slots; i++) {
      size[i] = i <= EXACT ? i : middle(i);
    }
    mean = new double[slots];
    deviation = new double[slots];
    weight = new double[slots];
    last = new long[slots];
    number = new long[slots];
    off = new int[slots];
    table = new double[slots];
    kept = new double[slots];
    poolValue = new double[slots];
    poolWeight = new double[slots];
    poolEnd = new int[slots];
  }

  /** What to think of sizes that were not seen: other shapes' line, scaled to this one. */
  void prior(double fixed, double perRow) {
    priorTau = fixed;
    priorAlpha = perRow;
    hasPrior = true;
    rebuild();
  }

  /** Whether there is anything to predict from. */
  boolean isKnown() {
    return hasPrior;
  }

  /** Changes whenever predictions may have. */
  int version() {
    return version;
  }

  long samples() {
    return samples;
  }

  double tau() {
    return tau;
  }

  double alpha() {
    return alpha;
  }

  /**
   * Takes what was measured when the model was loaded of rows of that many elements. Each is the
   * least of a few runs, so it counts like as many, and is fresh when the first sample comes.
   */
  void calibrate(List<LatencySample> measured, long rowElements) {
    for (LatencySample sample : measured) {
      if (sample.rowElements() == rowElements) {
        add(sample.rows(), (double) sample.nanos(), AT_LOAD);
      }
    }
    for (int i = 1; i < weight.length; i++) {
      if (weight[i] > 0) {
        weight[i] = Math.max(weight[i], KNOWN_WEIGHT);
      }
    }
    if (hasPrior) {
      rebuild();
    }
  }

  /** A batch of {@code rows} took that long. */
  void add(int rows, double nanos, long nowNanos) {
    add(rows, nanos, 1, nowNanos);
  }

  /**
   * @param trust from 0 to 1; less than 1 for a measurement that was corrected for something
   */
  void add(int rows, double nanos, double trust, long nowNanos) {
    if (!(nanos > 0) || rows < 1) {
      return;
    }
    int b = padded(Math.min(rows, cap));
    if (!hasPrior) {
      priorTau = nanos / (1 + UNKNOWN_SLOPE * b);
      priorAlpha = priorTau * UNKNOWN_SLOPE;
      hasPrior = true;
    }
    int i = slot(b);
    double sample = b <= EXACT || samples == 0 ? nanos : nanos * line(size[i]) / line(b);
    samples++;
    if (kept[i] > 0) {
      level += trust * LEVEL_GAIN * (Math.log(sample / kept[i]) - level);
    }
    boolean turned = learn(i, sample, trust);
    last[i] = nowNanos;
    number[i] = samples;
    if (turned || samples <= 64 || (samples & 3) == 0) {
      if (nowNanos != AT_LOAD) {
        decayStale(nowNanos);
      }
      rebuild();
    }
    if (Long.bitCount(samples) == 1) {
      System.arraycopy(table, 0, kept, 0, table.length);
      level = 0;
      followed = 0;
    }
  }

  /** True if it changed what is known by more than one sample normally does. */
  private boolean learn(int i, double sample, double trust) {
    double w = weight[i];
    if (w == 0) {
      restart(i, sample);
      return true;
    }
    double y = sample;
    if (w >= KNOWN_WEIGHT) {
      double edge = mean[i] * Math.max(OFF_LEAST, OFF_DEVIATIONS * deviation[i] / mean[i]);
      if (Math.abs(sample - mean[i]) <= edge) {
        off[i] = 0;
        offInARow = 0;
        offSum = 0;
      } else if (isTheTruth(i, sample)) {
        return true;
      } else {
        y = Math.clamp(sample, mean[i] - edge, mean[i] + edge);
      }
    }
    double gain = trust * Math.max(1 / (w + 1), MIN_GAIN);
    double error = Math.abs(Math.clamp(sample, mean[i] / FARTHEST, mean[i] * FARTHEST) - mean[i]);
    deviation[i] += gain * (error - deviation[i]);
    relativeDeviation += MIN_GAIN * (error / mean[i] - relativeDeviation);
    mean[i] += gain * (y - mean[i]);
    weight[i] = Math.min(w + trust, MAX_WEIGHT);
    return false;
  }

  private void restart(int i, double sample) {
    mean[i] = sample;
    deviation[i] = relativeDeviation * sample;
    weight[i] = 1;
    off[i] = 0;
  }

  /** Books a sample that is off; true if that makes it the truth, which is then learned. */
  private boolean isTheTruth(int i, double sample) {
    int side = sample < mean[i] ? -1 : 1;
    off[i] = Integer.signum(off[i]) == side ? off[i] + side : side;
    if (Integer.signum(offInARow) != side) {
      offInARow = 0;
      offSum = 0;
      offSince = samples - 1;
    }
    offInARow += side;
    offSum += Math.log(sample / mean[i]);
    if (Math.abs(off[i]) < OFF_IN_A_ROW) {
      return false;
    }
    double factor = Math.exp(offSum / Math.abs(offInARow));
    if (Math.abs(offInARow) < OFF_IN_A_ROW
        || factor > LARGEST_SHIFT
        || factor < 1 / LARGEST_SHIFT) {
      restart(i, sample);
    } else {
      scale(factor);
    }
    offInARow = 0;
    offSum = 0;
    return true;
  }

  private void scale(double factor) {
    for (int i = 1; i < mean.length; i++) {
      boolean newSince = weight[i] < KNOWN_WEIGHT && number[i] > offSince;
      if (!newSince && !follows(i)) {
        mean[i] *= factor;
        deviation[i] *= factor;
      }
      weight[i] = Math.min(weight[i], KNOWN_WEIGHT);
      off[i] = 0;
    }
    level = followed + Math.log(factor);
  }

  private boolean follows(int i) {
    return samples - number[i] > FOLLOWS_AFTER;
  }

  private void followLevel() {
    double factor = Math.exp(level - followed);
    for (int i = 1; i < mean.length; i++) {
      if (follows(i)) {
        mean[i] *= factor;
        deviation[i] *= factor;
      }
    }
    priorTau *= factor;
    priorAlpha *= factor;
    followed = level;
  }

  private void decayStale(long nowNanos) {
    for (int i = 1; i < weight.length; i++) {
      if (last[i] == AT_LOAD) {
        last[i] = nowNanos;
      }
      if (weight[i] > STALE_WEIGHT && nowNanos - last[i] > STALE_NANOS) {
        weight[i] = Math.max(STALE_WEIGHT, weight[i] * STALE_DECAY);
      }
    }
  }

  private void rebuild() {
    followLevel();
    fit();
    fillRatios();
    pool();
    version++;
  }

  /** Weighted least squares of relative errors; neither part below 0. */
  private void fit() {
    double s = 0;
    double sb = 0;
    double sbb = 0;
    double sy = 0;
    double sby = 0;
    for (int i = -1; i < size.length; i++) {
      double b;
      double y;
      double w;
      if (i <= 0) {
        b = i < 0 ? 1 : Math.max(2, cap);
        y = priorTau + priorAlpha * b;
        w = PRIOR_WEIGHT;
      } else {
        b = size[i];
        y = mean[i];
        w = weight[i];
      }
      if (w == 0 || !(y > 0)) {
        continue;
      }
      w /= y * y;
      s += w;
      sb += w * b;
      sbb += w * b * b;
      sy += w * y;
      sby += w * b * y;
    }
    double determinant = s * sbb - sb * sb;
    alpha = determinant > 0 ? (s * sby - sb * sy) / determinant : 0;
    tau = (sy - alpha * sb) / s;
    if (!(alpha >= 0)) {
      alpha = 0;
      tau = sy / s;
    } else if (tau < 0) {
      tau = 0;
      alpha = sby / sbb;
    }
  }

  /**
   * The weight of the line against a size's own samples: the noise of one sample over how far sizes
   * really are from the line, both as variances. Less where a size has many samples.
   */
  private double doubt() {
    double noise = DEVIATION_TO_VARIANCE * relativeDeviation * relativeDeviation;
    double misfit = 0;
    int sizes = 0;
    for (int i = 1; i < size.length; i++) {
      if (weight[i] >= 2) {
        double off = mean[i] / line(size[i]) - 1;
        misfit += off * off - noise / weight[i];
        sizes++;
      }
    }
    return sizes < 3
        ? 1
        : Math.clamp(noise * sizes / Math.max(misfit, 1e-12), LEAST_DOUBT, MOST_DOUBT);
  }

  private void fillRatios() {
    double doubt = doubt();
    int previous = 0;
    double previousRatio = 1;
    for (int i = 1; i <= size.length; i++) {
      if (i < size.length && weight[i] == 0) {
        continue;
      }
      double ratio = previousRatio;
      if (i < size.length) {
        double own = Math.min(doubt, DOUBT_TIMES_WEIGHT / weight[i]);
        ratio = (weight[i] * mean[i] / line(size[i]) + own) / (weight[i] + own);
        if (previous == 0) {
          previousRatio = ratio;
        }
      }
      double from = previous == 0 ? 0 : size[previous];
      double to = i < size.length ? size[i] : Double.POSITIVE_INFINITY;
      for (int k = previous + 1; k < i; k++) {
        double share = (size[k] - from) / (to - from);
        table[k] = line(size[k]) * (previousRatio + share * (ratio - previousRatio));
      }
      if (i < size.length) {
        table[i] = line(size[i]) * ratio;
      }
      previous = i;
      previousRatio = ratio;
    }
  }

  /** Pool adjacent violators: the nearest curve that never descends. */
  private void pool() {
    int pools = 0;
    for (int i = 1; i < table.length; i++) {
      double value = table[i];
      double w = weight[i] + UNSEEN_WEIGHT;
      while (pools > 0 && poolValue[pools - 1] > value) {
        pools--;
        double sum = w + poolWeight[pools];
        value = (value * w + poolValue[pools] * poolWeight[pools]) / sum;
        w = sum;
      }
      poolValue[pools] = value;
      poolWeight[pools] = w;
      poolEnd[pools] = i;
      pools++;
    }
    int i = 1;
    for (int p = 0; p < pools; p++) {
      while (i <= poolEnd[p]) {
        table[i++] = poolValue[p];
      }
    }
  }

  /** Expected time of a batch of {@code rows}; 0 for none, and while nothing is known. */
  double predict(int rows) {
    if (rows <= 0) {
      return 0;
    }
    int b = padded(rows);
    if (b <= EXACT && b < table.length) {
      return table[b];
    }
    int i = Math.min(slot(b), table.length - 1);
    double base = line(size[i]);
    return base > 0 ? table[i] * line(b) / base : table[i];
  }

  /** A time that a batch of {@code rows} seldom exceeds. */
  double safe(int rows) {
    double expected = predict(rows);
    int i = Math.min(slot(padded(rows)), table.length - 1);
    double w = weight[i];
    double spread =
        (w * deviation[i] + UNSEEN_WEIGHT * relativeDeviation * expected) / (w + UNSEEN_WEIGHT);
    return expected + DEVIATIONS_TO_BE_SAFE * spread;
  }

  /** Most rows per nanosecond that one runner serves in batches up to a cap; 0 if not known. */
  double peak(int maxRows) {
    if (peakVersion != version || peakCap != maxRows) {
      peakVersion = version;
      peakCap = maxRows;
      peak = peakWithin(Double.POSITIVE_INFINITY, maxRows);
    }
    return peak;
  }

  /**
   * Rows per nanosecond that no size up to a cap exceeds: {@link #peak} looks at one of each slot,
   * and the largest of a slot is an eighth larger at most.
   */
  double bound(int maxRows) {
    return maxRows <= EXACT ? peak(maxRows) : 1.125 * peak(maxRows);
  }

  /**
   * Most rows per nanosecond in batches up to a cap that take no longer than that, within 1 %; for
   * callers that ask for nearly the same again and again.
   */
  double peakNear(double nanos, int maxRows) {
    if (nearVersion != version
        || nearCap != maxRows
        || !(Math.abs(nanos - nearNanos) <= 0.01 * nearNanos)) {
      nearVersion = version;
      nearCap = maxRows;
      nearNanos = nanos;
      near = peakWithin(nanos, maxRows);
    }
    return near;
  }

  /** Most rows per nanosecond in batches up to a cap that take no longer than that. */
  double peakWithin(double nanos, int maxRows) {
    double best = 0;
    for (int i = 1; i < table.length && table[i] > 0; i++) {
      double b = Math.min(size[i], maxRows);
      double time = predict((int) b);
      if (time > nanos && best > 0) {
        break;
      }
      best = Math.max(best, b / time);
      if (b >= maxRows) {
        break;
      }
    }
    return best;
  }

  /** The largest batch up to a cap whose {@link #predict} is no longer than that; at least 1. */
  int largestWithin(double nanos, int maxRows) {
    int low = 1;
    int high = Math.max(1, maxRows);
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (predict(middle) <= nanos) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /** Sizes that were run, ascending, without allocation beyond the answer. */
  int[] sampledSizes() {
    int[] sizes = new int[size.length];
    int n = 0;
    for (int i = 1; i < size.length; i++) {
      if (weight[i] > 0) {
        sizes[n++] = (int) size[i];
      }
    }
    return Arrays.copyOf(sizes, n);
  }

  double weight(int rows) {
    return weight[Math.min(slot(padded(rows)), weight.length - 1)];
  }

  double deviation(int rows) {
    return deviation[Math.min(slot(padded(rows)), weight.length - 1)];
  }

  private double line(double b) {
    return tau + alpha * b;
  }

  private int padded(int rows) {
    return rows < padded.length ? padded[rows] : rows;
  }

  private static int slot(int b) {
    if (b <= EXACT) {
      return b;
    }
    int octave = 31 - Integer.numberOfLeadingZeros(b);
    return EXACT + 1 + (octave - 6) * 4 + ((b >> (octave - 2)) & 3);
  }

  private static double middle(int slot) {
    int quarter = slot - EXACT - 1;
    double low = (4 + (quarter & 3)) * Math.scalb(1.0, 4 + (quarter >> 2));
    return low * (1 + 0.5 / (4 + (quarter & 3)));
  }
}
