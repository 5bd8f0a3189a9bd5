package dev.millrace.benchmarks.known;

import dev.millrace.api.Settings;
import java.time.Duration;
import java.util.Locale;

/**
 * How long a batch takes by its rows b, with a fixed part t and a part a for each row.
 *
 * @param shape how the two make a time
 * @param fixedNanos t
 * @param perRowNanos a
 */
public record LatencyCurve(Shape shape, double fixedNanos, double perRowNanos) {
  /** How time grows with rows. */
  public enum Shape {
    /** t + a b: an engine with a cost for every call. */
    AFFINE {
      @Override
      double nanos(double fixed, double perRow, int rows) {
        return fixed + perRow * rows;
      }
    },

    /** max(t, a b): flat until the device is filled. */
    KNEE {
      @Override
      double nanos(double fixed, double perRow, int rows) {
        return Math.max(fixed, perRow * rows);
      }
    },

    /** t + a times the next power of two: an engine that pads. */
    PADDED {
      @Override
      double nanos(double fixed, double perRow, int rows) {
        return fixed + perRow * (rows <= 1 ? rows : Integer.highestOneBit(rows - 1) << 1);
      }
    };

    abstract double nanos(double fixed, double perRow, int rows);
  }

  public LatencyCurve {
    if (!(fixedNanos >= 0) || !(perRowNanos >= 0) || !(fixedNanos + perRowNanos > 0)) {
      throw new IllegalArgumentException(
          "a batch has to take some time: %s, %s".formatted(fixedNanos, perRowNanos));
    }
  }

  /** t + a b. */
  public static LatencyCurve affine(Duration fixed, Duration perRow) {
    return new LatencyCurve(Shape.AFFINE, fixed.toNanos(), perRow.toNanos());
  }

  /**
   * The curve that a model's section {@code known} describes: {@code shape}, {@code fixed} and
   * {@code per-row}.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if it describes none
   */
  static LatencyCurve read(Settings settings) {
    Shape shape = settings.oneOf("shape", Shape.class).orElse(Shape.AFFINE);
    Duration fixed = settings.duration("fixed").orElse(Duration.ZERO);
    Duration perRow = settings.duration("per-row").orElse(Duration.ZERO);
    if (fixed.plus(perRow).isZero()) {
      throw settings.bad("per-row", perRow, "a time, there or in 'fixed'");
    }
    return new LatencyCurve(shape, fixed.toNanos(), perRow.toNanos());
  }

  /** Nanoseconds that a batch takes. */
  public long nanos(int rows) {
    return (long) shape.nanos(fixedNanos, perRowNanos, rows);
  }

  /** The most rows a second, in batches of at most that many. */
  public double rowsPerSecond(int maxRows) {
    double most = 0;
    for (int rows = 1; rows <= maxRows; rows++) {
      most = Math.max(most, rows * 1e9 / nanos(rows));
    }
    return most;
  }

  /** The section of a {@code model.yaml} that {@link #read} reads, without its key. */
  String toYaml(String indent) {
    return String.format(
        Locale.ROOT,
        "%sshape: %s%n%sfixed: %.0fns%n%sper-row: %.0fns%n",
        indent,
        shape.name().toLowerCase(Locale.ROOT),
        indent,
        fixedNanos,
        indent,
        perRowNanos);
  }
}
