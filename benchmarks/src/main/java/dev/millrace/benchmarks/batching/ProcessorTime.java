package dev.millrace.benchmarks.batching;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Time on the processors, in nanoseconds since some beginning; the kernel counts in hundredths of a
 * second.
 *
 * @param wallNanos what a clock showed
 * @param allNanos of all processes
 * @param serverNanos of the server
 * @param ownNanos of this process
 */
public record ProcessorTime(long wallNanos, long allNanos, long serverNanos, long ownNanos) {
  private static final long NANOS_PER_TICK = 10_000_000;

  /** Until now, of the server with that process id. */
  static ProcessorTime now(long serverPid) {
    try {
      String[] all = Files.readAllLines(Path.of("/proc/stat")).getFirst().split("\\s+", -1);
      var own = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
      return new ProcessorTime(
          System.nanoTime(),
          (ticks(all[1]) + ticks(all[2]) + ticks(all[3]) + ticks(all[6]) + ticks(all[7]))
              * NANOS_PER_TICK,
          nanosOf(serverPid),
          own.getProcessCpuTime());
    } catch (IOException e) {
      throw new UncheckedIOException("the processor time needs Linux and a server that runs", e);
    }
  }

  /** Of all threads of the process with that id, until now. */
  public static long nanosOf(long pid) {
    try {
      // After the last parenthesis, for the name before it may hold anything.
      String process = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
      String[] fields = process.substring(process.lastIndexOf(')') + 2).split(" ", -1);
      return (ticks(fields[11]) + ticks(fields[12])) * NANOS_PER_TICK;
    } catch (IOException e) {
      throw new UncheckedIOException("the processor time needs Linux and a process that runs", e);
    }
  }

  ProcessorTime since(ProcessorTime before) {
    return new ProcessorTime(
        wallNanos - before.wallNanos,
        allNanos - before.allNanos,
        serverNanos - before.serverNanos,
        ownNanos - before.ownNanos);
  }

  private static long ticks(String field) {
    return Long.parseLong(field);
  }
}
