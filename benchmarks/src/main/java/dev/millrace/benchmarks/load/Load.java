package dev.millrace.benchmarks.load;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/** How a {@link LoadClient} asks. */
public sealed interface Load {
  /** Connections, opened before the first request. */
  int connections();

  /**
   * Every connection asks again as soon as it was answered: never more requests at once than
   * connections, and a slow server is asked less. For throughput.
   *
   * @param thinkTime between an answer and the next request
   */
  record ClosedLoop(int connections, Duration thinkTime) implements Load {
    public ClosedLoop {
      requireConnections(connections);
      requireNonNull(thinkTime, "thinkTime is null");
    }

    /** Without a time to think. */
    public static ClosedLoop of(int connections) {
      return new ClosedLoop(connections, Duration.ZERO);
    }
  }

  /**
   * Requests come when a schedule made beforehand says so, and their latency counts from then,
   * however late they were sent: what real users see. For latency and overload.
   *
   * @param perSecond mean rate
   * @param seed of the schedule
   * @param connections enough that one is always free; {@link LoadResult#waited} says if not
   */
  record OpenLoop(Arrivals arrivals, double perSecond, long seed, int connections) implements Load {
    public OpenLoop {
      requireNonNull(arrivals, "arrivals is null");
      requireConnections(connections);
      if (!(perSecond > 0)) {
        throw new IllegalArgumentException("the rate must be positive: " + perSecond);
      }
    }
  }

  private static void requireConnections(int connections) {
    if (connections < 1) {
      throw new IllegalArgumentException("a client needs a connection: " + connections);
    }
  }
}
