package dev.millrace.benchmarks.batching;

import dev.millrace.benchmarks.load.LoadResult;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.zip.DataFormatException;
import org.HdrHistogram.Histogram;

/**
 * One setting measured once: a line of {@code legs.tsv}.
 *
 * @param kind what was asked of it
 * @param offered requests a second, 0 in a closed loop
 * @param timeoutMicros of every request, 0 for none
 * @param perSecond answered requests a second
 * @param goodput of these, those in time
 * @param failures requests without a good answer, refused ones among them
 * @param fellBehind whether the client could not send when it should
 * @param clientCpus CPUs that the client kept busy
 * @param serverCpus CPUs that the server kept busy
 * @param otherCpus CPUs that others kept busy
 * @param latency nanoseconds of the good answers
 */
record Leg(
    String model,
    String setting,
    Kind kind,
    int round,
    double offered,
    long timeoutMicros,
    double perSecond,
    double goodput,
    long failures,
    boolean fellBehind,
    double clientCpus,
    double serverCpus,
    double otherCpus,
    Histogram latency) {
  /** What a leg is for. */
  enum Kind {
    /** A short closed loop, to find the finalists. */
    SCREENING,
    /** A closed loop. */
    SATURATION,
    /** An open loop at a twentieth of the capacity. */
    LONE,
    /** An open loop at twice the capacity, with deadlines. */
    OVERLOAD
  }

  static Leg of(
      String model,
      String setting,
      Kind kind,
      int round,
      double offered,
      long timeoutMicros,
      LoadResult result,
      ProcessorTime spent) {
    double clientCpus = result.clientCpu();
    double nanos = spent.wallNanos();
    double serverCpus = spent.serverNanos() / nanos;
    return new Leg(
        model,
        setting,
        kind,
        round,
        offered,
        timeoutMicros,
        result.perSecond(),
        result.goodput(),
        result.failures(),
        result.fellBehind(),
        clientCpus,
        serverCpus,
        Math.max(0, spent.allNanos() / nanos - serverCpus - spent.ownNanos() / nanos),
        result.latency());
  }

  double micros(double percentile) {
    return latency.getValueAtPercentile(percentile) / 1e3;
  }

  String toTsv() {
    return String.format(
        Locale.ROOT,
        "%s\t%s\t%s\t%d\t%.1f\t%d\t%.2f\t%.2f\t%d\t%s\t%.3f\t%.3f\t%.3f\t%.0f\t%.0f\t%s",
        model,
        setting,
        kind,
        round,
        offered,
        timeoutMicros,
        perSecond,
        goodput,
        failures,
        fellBehind,
        clientCpus,
        serverCpus,
        otherCpus,
        micros(50),
        micros(99),
        encode(latency));
  }

  static Leg parse(String line) {
    String[] fields = line.split("\t", -1);
    return new Leg(
        fields[0],
        fields[1],
        Kind.valueOf(fields[2]),
        Integer.parseInt(fields[3]),
        Double.parseDouble(fields[4]),
        Long.parseLong(fields[5]),
        Double.parseDouble(fields[6]),
        Double.parseDouble(fields[7]),
        Long.parseLong(fields[8]),
        Boolean.parseBoolean(fields[9]),
        Double.parseDouble(fields[10]),
        Double.parseDouble(fields[11]),
        Double.parseDouble(fields[12]),
        decode(fields[15]));
  }

  private static String encode(Histogram histogram) {
    ByteBuffer bytes = ByteBuffer.allocate(histogram.getNeededByteBufferCapacity());
    int length = histogram.encodeIntoCompressedByteBuffer(bytes);
    return Base64.getEncoder().encodeToString(Arrays.copyOf(bytes.array(), length));
  }

  private static Histogram decode(String text) {
    try {
      return Histogram.decodeFromCompressedByteBuffer(
          ByteBuffer.wrap(Base64.getDecoder().decode(text)), 0);
    } catch (DataFormatException e) {
      throw new IllegalArgumentException("not a histogram: " + text, e);
    }
  }
}
