package dev.millrace.benchmarks.batching;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * How much a run measures; every part is a variable of the environment.
 *
 * @param rounds {@code ROUNDS}: in which the settings take turns
 * @param seconds {@code SECONDS_OF_LEG}: of one setting under full or double load, in one round
 * @param loneSeconds {@code SECONDS_OF_LONE_LEG}: of one setting at a twentieth of its capacity;
 *     three times as long where that would be fewer than 200 requests
 * @param warmUpSeconds {@code SECONDS_OF_WARM_UP}: before the first leg of every setting
 * @param connections {@code CONNECTIONS}: of the closed loop
 * @param finalists {@code FINALISTS}: fixed settings that are measured in every round; which ones,
 *     a first look at all of them says
 * @param deadlineFactor {@code DEADLINE_FACTOR}: the deadline under double load, in medians of the
 *     unbatched latency
 * @param batchSizes {@code BATCH_SIZES}
 * @param delayMicros {@code DELAYS_US}
 * @param instances {@code INSTANCES}
 */
record SweepPlan(
    int rounds,
    double seconds,
    double loneSeconds,
    double warmUpSeconds,
    int connections,
    int finalists,
    double deadlineFactor,
    List<Integer> batchSizes,
    List<Integer> delayMicros,
    List<Integer> instances) {
  private static final String PROCESSORS =
      Integer.toString(Runtime.getRuntime().availableProcessors());

  /** The plan that the environment asks for. */
  static SweepPlan read(Map<String, String> environment) {
    return new SweepPlan(
        Integer.parseInt(environment.getOrDefault("ROUNDS", "3")),
        Double.parseDouble(environment.getOrDefault("SECONDS_OF_LEG", "1.5")),
        Double.parseDouble(environment.getOrDefault("SECONDS_OF_LONE_LEG", "3")),
        Double.parseDouble(environment.getOrDefault("SECONDS_OF_WARM_UP", "0.8")),
        Integer.parseInt(environment.getOrDefault("CONNECTIONS", "64")),
        Integer.parseInt(environment.getOrDefault("FINALISTS", "3")),
        Double.parseDouble(environment.getOrDefault("DEADLINE_FACTOR", "10")),
        numbers(environment.getOrDefault("BATCH_SIZES", "8 64")),
        numbers(environment.getOrDefault("DELAYS_US", "0 2000")),
        numbers(environment.getOrDefault("INSTANCES", "1 " + PROCESSORS)));
  }

  private static List<Integer> numbers(String list) {
    return Arrays.stream(list.strip().split("\\s+")).map(Integer::valueOf).distinct().toList();
  }
}
