package dev.millrace.server.fuzz;

import dev.millrace.api.Settings;
import java.time.Duration;
import java.util.Random;

/**
 * Runs rounds of made-up input for a while: {@code -Dmillrace.fuzz-time=1m}, two seconds unless
 * given. What a round does follows from its number and a seed, which is printed, and which {@code
 * -Dmillrace.fuzz-seed} sets to see the same again.
 */
public final class Fuzzing {
  private static final Duration TIME =
      Settings.parseDuration(System.getProperty("millrace.fuzz-time", "2s")).orElseThrow();

  private Fuzzing() {}

  /** Makes one input and looks at what comes of it. */
  @FunctionalInterface
  public interface Round {
    /** Throws if it is not as it should be. */
    void run(Random random) throws Exception;
  }

  /**
   * Runs rounds until the time is over, at least 100.
   *
   * @param what is tried, for people
   */
  public static void run(String what, Round round) throws Exception {
    long seed = Long.getLong("millrace.fuzz-seed", new Random().nextLong());
    System.out.printf("fuzz %s: -Dmillrace.fuzz-seed=%d%n", what, seed);
    long end = System.nanoTime() + TIME.toNanos();
    long rounds = 0;
    while (rounds < 100 || System.nanoTime() - end < 0) {
      try {
        round.run(new Random(seed + rounds * 0x9E3779B97F4A7C15L));
      } catch (AssertionError | Exception e) {
        throw new AssertionError(
            "%s, round %d of -Dmillrace.fuzz-seed=%d: %s".formatted(what, rounds, seed, e), e);
      }
      rounds++;
    }
    System.out.printf("fuzz %s: %d rounds%n", what, rounds);
  }
}
