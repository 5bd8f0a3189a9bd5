package dev.millrace.server.transport;

import com.sun.management.HotSpotDiagnosticMXBean;
import dev.millrace.api.InferenceException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;

/**
 * The memory for direct buffers, which the JVM bounds by {@code -XX:MaxDirectMemorySize}, and by
 * the most that the heap may take if that is not given. Everything that is read or sent passes
 * through it, so requests that are still arriving do not get all of it. Thread-safe.
 */
public final class DirectMemory {
  /** The part of the memory up to which requests that are arriving may fill it. */
  private static final double FOR_REQUESTS = 0.75;

  private static final BufferPoolMXBean POOL =
      ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
          .filter(pool -> pool.getName().equals("direct"))
          .findFirst()
          .orElseThrow();

  private static final long LIMIT = limit();

  private DirectMemory() {}

  private static long limit() {
    String given =
        ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
            .getVMOption("MaxDirectMemorySize")
            .getValue();
    long bytes = Long.parseLong(given);
    return bytes > 0 ? bytes : Runtime.getRuntime().maxMemory();
  }

  /**
   * Checks that a request which is still arriving may take so many bytes more.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if it may not
   */
  public static void requireForRequest(long bytes) {
    long used = POOL.getMemoryUsed();
    if (used + bytes > FOR_REQUESTS * LIMIT) {
      throw InferenceException.exhausted(
          "the server has no memory for the request: %d of %d bytes for buffers are in use"
              .formatted(used, LIMIT),
          Duration.ofSeconds(1));
    }
  }
}
