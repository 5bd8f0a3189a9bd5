package dev.millrace.benchmarks.load;

import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.stream.Collectors;
import org.HdrHistogram.Histogram;

/**
 * What came of a load; of its measured part only.
 *
 * @param seconds that were measured
 * @param requests that were answered, or not: all that count
 * @param ok answered with status 200 and as many bytes of tensors as the others
 * @param inTime of these, answered before their time-out; all of them if there is none
 * @param statuses answers by HTTP status, those with a wrong size among them
 * @param lost requests whose connection broke
 * @param unanswered requests without an answer when the client stopped waiting
 * @param waited requests that were sent late because no connection was free
 * @param lateSends requests that were sent more than a millisecond after they were due
 * @param latency nanoseconds from when a request was due to its answer, of those that are {@code
 *     ok}
 * @param clientCpuNanos of the client's thread
 * @param failure the first thing that went wrong with an answer, for people; empty if nothing did
 */
public record LoadResult(
    double seconds,
    long requests,
    long ok,
    long inTime,
    Map<Integer, Long> statuses,
    long lost,
    long unanswered,
    long waited,
    long lateSends,
    Histogram latency,
    long clientCpuNanos,
    String failure) {
  /** Requests a second that were answered with status 200. */
  public double perSecond() {
    return ok / seconds;
  }

  /** Requests a second that were answered with status 200 in time. */
  public double goodput() {
    return inTime / seconds;
  }

  /** Microseconds that so many per cent of the good answers did not exceed. */
  public double micros(double percentile) {
    return latency.getValueAtPercentile(percentile) / 1e3;
  }

  /** Mean microseconds of the good answers. */
  public double meanMicros() {
    return latency.getTotalCount() == 0 ? 0 : latency.getMean() / 1e3;
  }

  /** The part of one CPU that the client's thread took. */
  public double clientCpu() {
    return clientCpuNanos / 1e9 / seconds;
  }

  /** Whether the client could not ask as the schedule said, so that latencies are its own too. */
  public boolean fellBehind() {
    return waited + lateSends > requests / 100;
  }

  /** The answers that were no good. */
  public long failures() {
    return requests - ok;
  }

  /** Names of the columns of {@link #toTsv}. */
  public static String tsvHeader() {
    return String.join(
        "\t",
        "seconds",
        "requests",
        "ok",
        "in-time",
        "per-second",
        "goodput",
        "mean-us",
        "p50-us",
        "p90-us",
        "p99-us",
        "p99.9-us",
        "max-us",
        "lost",
        "unanswered",
        "waited",
        "late-sends",
        "client-cpu",
        "statuses");
  }

  /** One line with tabs. */
  public String toTsv() {
    return String.format(
        Locale.ROOT,
        "%.3f\t%d\t%d\t%d\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%d\t%d\t%d\t%.3f\t%s",
        seconds,
        requests,
        ok,
        inTime,
        perSecond(),
        goodput(),
        meanMicros(),
        micros(50),
        micros(90),
        micros(99),
        micros(99.9),
        micros(100),
        lost,
        unanswered,
        waited,
        lateSends,
        clientCpu(),
        statuses.entrySet().stream()
            .map(status -> status.getKey() + ":" + status.getValue())
            .collect(Collectors.joining(",")));
  }

  /** One line of JSON with the names and values of {@link #toTsv}. */
  public String toJson() {
    String[] names = tsvHeader().split("\t", -1);
    String[] values = toTsv().split("\t", -1);
    StringJoiner json = new StringJoiner(",", "{", "}");
    for (int i = 0; i < names.length - 1; i++) {
      json.add("\"%s\":%s".formatted(names[i], values[i]));
    }
    json.add(
        statuses.entrySet().stream()
            .map(status -> "\"%d\":%d".formatted(status.getKey(), status.getValue()))
            .collect(Collectors.joining(",", "\"statuses\":{", "}")));
    return json.toString();
  }
}
