package dev.millrace.benchmarks.load;

import java.util.Map;
import java.util.TreeMap;
import org.HdrHistogram.Histogram;

/** Counts the requests of one load. For the client's one thread. */
final class Tally {
  private static final long LATE_NANOS = 1_000_000;
  private static final int DIGITS = 3;

  private final long timeoutNanos;
  private final Histogram latency = new Histogram(DIGITS);
  private final Map<Integer, Long> statuses = new TreeMap<>();
  private long requests;
  private long ok;
  private long inTime;
  private long lost;
  private long waited;
  private long lateSends;
  private int expectedBytes = -1;
  private String failure = "";

  /**
   * @param timeoutNanos until which an answer is in time; 0 for ever
   */
  Tally(long timeoutNanos) {
    this.timeoutNanos = timeoutNanos;
  }

  /** A request was sent that was due before. */
  void sent(long lateNanos, boolean forLackOfConnections) {
    lateSends += lateNanos > LATE_NANOS ? 1 : 0;
    waited += forLackOfConnections ? 1 : 0;
  }

  /** An answer came, so long after the request was due. */
  void answered(int status, int tensorBytes, long nanos) {
    requests++;
    statuses.merge(status, 1L, Long::sum);
    if (status != 200) {
      return;
    }
    if (expectedBytes < 0) {
      expectedBytes = tensorBytes;
    }
    if (tensorBytes != expectedBytes) {
      failed(
          "an answer with %d bytes of tensors, others had %d"
              .formatted(tensorBytes, expectedBytes));
      return;
    }
    ok++;
    inTime += timeoutNanos == 0 || nanos <= timeoutNanos ? 1 : 0;
    latency.recordValue(Math.max(1, nanos));
  }

  /** The connection of a request broke. */
  void lost() {
    requests++;
    lost++;
  }

  /** Something is wrong with an answer; the first one is kept. */
  void failed(String what) {
    if (failure.isEmpty()) {
      failure = what;
    }
  }

  LoadResult result(double seconds, long unanswered, long clientCpuNanos) {
    return new LoadResult(
        seconds,
        requests + unanswered,
        ok,
        inTime,
        Map.copyOf(statuses),
        lost,
        unanswered,
        waited,
        lateSends,
        latency,
        clientCpuNanos,
        failure);
  }
}
