package dev.millrace.runtime;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * How long a machine's processors have worked, at one moment.
 *
 * @param atNanos the moment, of {@link System#nanoTime}
 * @param busyNanos of all processors since the machine started, for whomever
 * @param ownNanos of these, for this process and those that it started
 * @param processors of the machine, which may be more than this process may use
 */
record MachineLoad(long atNanos, long busyNanos, long ownNanos, int processors) {
  private static final Path STATISTICS = Path.of("/proc/stat");

  /** Linux counts for its users in hundredths of a second, whatever it does itself. */
  private static final long TICK_NANOS = 10_000_000;

  /** What others take of the processors that are wanted without being in the way. */
  private static final double NEGLIGIBLE = 0.1;

  /** A few ticks are what counting in ticks gets wrong. */
  private static final long LEAST_NANOS = 5 * TICK_NANOS;

  /** How it is now; empty if the system does not tell. */
  static Optional<MachineLoad> now() {
    try {
      return of(Files.readAllLines(STATISTICS), System.nanoTime(), usedNanos());
    } catch (IOException | RuntimeException e) {
      return Optional.empty();
    }
  }

  private static long usedNanos() {
    ProcessHandle own = ProcessHandle.current();
    return Stream.concat(Stream.of(own), own.descendants())
        .mapToLong(process -> process.info().totalCpuDuration().orElse(Duration.ZERO).toNanos())
        .sum();
  }

  /**
   * What the lines of {@code /proc/stat} say: of all processors the time as user, nice, system,
   * idle, waiting for devices, in interrupts, in soft ones, and stolen by other machines; then the
   * same of each.
   */
  static Optional<MachineLoad> of(List<String> lines, long atNanos, long ownNanos) {
    List<String> processors = lines.stream().filter(line -> line.startsWith("cpu")).toList();
    if (processors.size() < 2) {
      return Optional.empty();
    }
    String[] ticks = processors.getFirst().split("\\s+", -1);
    long busy = 0;
    for (int field : new int[] {1, 2, 3, 6, 7, 8}) {
      busy += Long.parseLong(ticks[field]);
    }
    return Optional.of(
        new MachineLoad(atNanos, busy * TICK_NANOS, ownNanos, processors.size() - 1));
  }

  /** Nanoseconds of processors that others have used since then. */
  private long ofOthersSince(MachineLoad before) {
    return Math.max(0, busyNanos - before.busyNanos - (ownNanos - before.ownNanos));
  }

  /** Processors that others have used, on average, since then. */
  double othersSince(MachineLoad before) {
    return ofOthersSince(before) / (double) Math.max(1, atNanos - before.atNanos);
  }

  /**
   * Whether what others did since then was in the way of who wanted so many processors: it left
   * fewer of the machine's than nearly all of them.
   */
  boolean wasCrowdedSince(MachineLoad before, int wanted) {
    return ofOthersSince(before) > LEAST_NANOS
        && processors - othersSince(before) < (1 - NEGLIGIBLE) * Math.min(wanted, processors);
  }
}
