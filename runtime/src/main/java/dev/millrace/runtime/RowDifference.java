package dev.millrace.runtime;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;

/**
 * How far the rows of a batch are from the same rows run alone.
 *
 * <p>For floating point it is the length of the difference of all rows together, by the greater of
 * the two lengths: a figure from 0 to 2 that does not depend on the scale of the values and that
 * one small value does not dominate. What is not a number or infinite has to be so in both.
 * Everything else differs by 0 or without bound, and so do shapes that are not those of rows.
 *
 * @param largest of the outputs
 * @param areRows whether all outputs have the shapes of rows
 * @param reason the output that differs most, for people
 */
record RowDifference(double largest, boolean areRows, String reason) {
  private static final RowDifference NONE = new RowDifference(0, true, "");

  /**
   * Compares.
   *
   * @param alone the outputs of each row, in the order of the batch
   */
  static RowDifference of(List<TensorMap> alone, TensorMap together) {
    RowDifference worst = NONE;
    for (int i = 0; i < together.size(); i++) {
      String name = together.name(i);
      Tensor batch = together.tensor(i);
      RowDifference difference = shapes(name, alone, i, batch);
      if (difference.largest == 0) {
        difference =
            switch (batch.dataType()) {
              case FP16, BF16, FP32, FP64 -> numbers(name, alone, i, batch);
              case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, BYTES ->
                  exactly(name, alone, i, batch);
            };
      }
      if (difference.largest > worst.largest) {
        worst = difference;
      }
    }
    return worst;
  }

  /** Whether any output differs by more than that. */
  boolean isBeyond(double tolerance) {
    return largest > tolerance;
  }

  private static RowDifference shapes(
      String name, List<TensorMap> alone, int output, Tensor together) {
    Shape batch = together.shape();
    Shape row = alone.getFirst().tensor(output).shape();
    for (TensorMap each : alone) {
      Shape shape = each.tensor(output).shape();
      if (shape.rank() == 0 || shape.dim(0) != 1) {
        return without(false, "output '%s' of 1 row is of shape %s".formatted(name, shape));
      }
      if (!shape.equals(row)) {
        return without(
            false, "output '%s' of 1 row is of shape %s or %s".formatted(name, row, shape));
      }
    }
    return batch.rank() == row.rank() && batch.equals(row.withDim(0, alone.size()))
        ? NONE
        : without(
            false,
            "output '%s' of %d rows is of shape %s, and of shape %s of 1 row"
                .formatted(name, alone.size(), batch, row));
  }

  private static RowDifference without(boolean areRows, String reason) {
    return new RowDifference(Double.POSITIVE_INFINITY, areRows, reason);
  }

  private static RowDifference exactly(
      String name, List<TensorMap> alone, int output, Tensor together) {
    ByteBuffer batch = together.data();
    for (TensorMap each : alone) {
      ByteBuffer row = each.tensor(output).data();
      if (batch.remaining() < row.remaining()
          || !batch.slice(batch.position(), row.remaining()).equals(row)) {
        return without(true, "output '%s' changes with the batch".formatted(name));
      }
      batch.position(batch.position() + row.remaining());
    }
    return NONE;
  }

  private static RowDifference numbers(
      String name, List<TensorMap> alone, int output, Tensor together) {
    DataType type = together.dataType();
    ByteBuffer batch = together.data();
    double difference = 0;
    double aloneLength = 0;
    double togetherLength = 0;
    for (TensorMap each : alone) {
      ByteBuffer row = each.tensor(output).data();
      while (row.hasRemaining()) {
        double a = next(type, row);
        double b = next(type, batch);
        if (Double.isFinite(a) && Double.isFinite(b)) {
          difference += (a - b) * (a - b);
          aloneLength += a * a;
          togetherLength += b * b;
        } else if (Double.compare(a, b) != 0) {
          return without(true, "output '%s' has %s where a row alone has %s".formatted(name, b, a));
        }
      }
    }
    double length = Math.sqrt(Math.max(aloneLength, togetherLength));
    double share = length == 0 ? 0 : Math.sqrt(difference) / length;
    return new RowDifference(
        share,
        true,
        String.format(
            Locale.ROOT, "output '%s' changes by %.0f %% with the batch", name, 100 * share));
  }

  private static double next(DataType type, ByteBuffer bytes) {
    return switch (type) {
      case FP16 -> Float.float16ToFloat(bytes.getShort());
      case BF16 -> Float.intBitsToFloat(bytes.getShort() << 16);
      case FP32 -> bytes.getFloat();
      case FP64 -> bytes.getDouble();
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, BYTES ->
          throw new IllegalArgumentException(type + " has no fractions");
    };
  }
}
