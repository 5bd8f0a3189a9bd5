package dev.millrace.batcher;

import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Counts the pieces of an oversized request, and keeps their outputs until all are there. Owns the
 * request's inputs: closes them once nothing of the request waits or runs.
 *
 * <p>Thread-safe by its monitor, which may be taken inside the batcher's lock (never the other way
 * round) and is not held while a tensor is closed.
 */
final class Pieces {
  private final TensorMap inputs;

  /** Per input, the byte at which each row starts, and the end; null if all rows are as long. */
  private final int[] @Nullable [] rowStarts;

  /** By first row. */
  private final TreeMap<Integer, TensorMap> outputs = new TreeMap<>();

  private final int rows;
  private int rowsTaken;
  private boolean waiting = true;
  private int running;
  private boolean failed;
  private boolean settled;
  private long computeNanos;

  Pieces(TensorMap inputs, int rows) {
    this.inputs = inputs;
    this.rows = rows;
    this.rowStarts = new int[inputs.size()][];
    for (int i = 0; i < rowStarts.length; i++) {
      if (!inputs.tensor(i).dataType().isFixedSize()) {
        rowStarts[i] = rowStarts(inputs.tensor(i), rows);
      }
    }
  }

  private static int[] rowStarts(Tensor tensor, int rows) {
    Rows.Cursor cursor = new Rows.Cursor(tensor);
    int[] starts = new int[rows + 1];
    for (int row = 0; row < rows; row++) {
      starts[row + 1] = cursor.skip(1);
    }
    return starts;
  }

  /** Rows of the inputs, sharing their memory: to be used while the piece runs. */
  TensorMap inputs(int from, int rows) {
    try (TensorMap.Builder views = TensorMap.builder()) {
      for (int i = 0; i < inputs.size(); i++) {
        Tensor tensor = inputs.tensor(i);
        int[] starts = rowStarts[i];
        int rowBytes = (int) (tensor.byteSize() / tensor.shape().dim(0));
        int start = starts == null ? from * rowBytes : starts[from];
        int end = starts == null ? (from + rows) * rowBytes : starts[from + rows];
        views.put(inputs.name(i), Rows.view(tensor, start, end, rows));
      }
      return views.build();
    }
  }

  /** Rows that no batch took yet. */
  synchronized int waitingRows() {
    return rows - rowsTaken;
  }

  /** Whether a batch took some rows. */
  synchronized boolean hasStarted() {
    return rowsTaken > 0;
  }

  /** The next piece, of at most {@code room} rows; null if the request was dropped. */
  synchronized @Nullable Part take(Request request, int room) {
    int taken = Math.min(room, rows - rowsTaken);
    boolean last = rowsTaken + taken == rows;
    if (!waiting || (last && !request.claim())) {
      return null;
    }
    Part part = new Part(request, rowsTaken, taken);
    rowsTaken += taken;
    running++;
    waiting = !last;
    return part;
  }

  /** What still waits never runs; the rows that it was. */
  int withdraw() {
    int left;
    synchronized (this) {
      left = rows - rowsTaken;
      waiting = false;
      failed = true;
    }
    settle();
    return left;
  }

  /** A piece that was taken yielded nothing. */
  void failed() {
    synchronized (this) {
      running--;
      failed = true;
    }
    settle();
  }

  /**
   * A piece that was taken yielded these outputs, which this takes over.
   *
   * @return the outputs of all pieces by row, now the caller's, if this was the last one of all and
   *     none failed; else null
   */
  @Nullable List<TensorMap> succeeded(int from, TensorMap result, long nanos) {
    synchronized (this) {
      running--;
      outputs.put(from, result);
      computeNanos += nanos;
    }
    return settle();
  }

  /** Nanoseconds inside the predictor, of all pieces together. */
  synchronized long computeNanos() {
    return computeNanos;
  }

  /** Ends the request if nothing of it waits or runs; only one caller finds that. */
  private @Nullable List<TensorMap> settle() {
    List<TensorMap> results;
    boolean whole;
    synchronized (this) {
      if (waiting || running > 0 || settled) {
        return null;
      }
      settled = true;
      results = new ArrayList<>(outputs.values());
      outputs.clear();
      whole = !failed;
    }
    inputs.close();
    if (whole) {
      return results;
    }
    results.forEach(TensorMap::close);
    return null;
  }
}
