package dev.millrace.benchmarks.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.batcher.policy.BatchPolicy.Decision;
import dev.millrace.batcher.policy.BatchPolicy.Hold;
import dev.millrace.batcher.policy.BatchPolicy.Run;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.FixedPolicy;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The simulator against what is known exactly, without noise of the service times. */
class ExactTest {
  private static final int STATES = 260;
  private static final double REQUESTS = 1_000_000;

  private static double simulated(ServiceCurve curve, double perMilli, PolicyFactory policy) {
    Scenario scenario =
        Scenario.of(
                "exact",
                Workload.of(curve, Arrivals.poisson(perMilli)),
                REQUESTS / perMilli / 1000,
                5)
            .withSigma(0);
    return Simulation.run(scenario, policy).meanMillis();
  }

  private static Decision decide(DecisionProcess.Solution solution, int waiting) {
    int action = solution.action(waiting);
    return action == 0
        ? new Hold(Long.MAX_VALUE - 1, waiting + 1)
        : new Run(0, action, DispatchReason.SQRT);
  }

  @ParameterizedTest
  @CsvSource({"0.1, 0.3", "0.1, 0.9", "1, 0.6", "1, 0.9", "10, 0.3", "10, 0.6"})
  void meanLatency_isThatOfTheExactSolution(double perRow, double load) {
    ServiceCurve curve = ServiceCurve.affine(1, perRow);
    double perMilli = load * Workload.CAP / curve.millis(Workload.CAP);
    DecisionProcess process = new DecisionProcess(curve, perMilli, Workload.CAP, STATES);
    DecisionProcess.Solution all = process.takeAll();
    DecisionProcess.Solution best = process.optimum();

    assertThat(best.meanMillis()).isLessThanOrEqualTo(all.meanMillis() * (1 + 1e-9));
    assertThat(simulated(curve, perMilli, (workload, warmUp) -> new FixedPolicy(Workload.CAP, 0)))
        .isCloseTo(all.meanMillis(), within(0.02 * all.meanMillis()));
    assertThat(
            simulated(
                curve,
                perMilli,
                (workload, warmUp) ->
                    (queue, trigger, nowNanos) -> decide(best, queue.rows())))
        .isCloseTo(best.meanMillis(), within(0.02 * best.meanMillis()));
  }

  @ParameterizedTest
  @CsvSource({"0.1, 0.3", "0.1, 0.6", "0.3, 0.5"})
  void takeAll_withRoomInItsBatches_isWithinInouesBound(double perRow, double load) {
    double perMilli = load * Workload.CAP / (1 + perRow * Workload.CAP);
    double share = perMilli * perRow;
    double bound = 3 / (2 * (1 - share)) + perRow / 2 * (share + 2) / (1 - share * share);

    assertThat(
            simulated(
                ServiceCurve.affine(1, perRow),
                perMilli,
                (workload, warmUp) -> new FixedPolicy(Workload.CAP, 0)))
        .isCloseTo(bound, within(0.02 * bound));
  }

  @Test
  void oneByOne_isPollaczekAndKhinchines() {
    double load = 0.8;
    double mean = 1 + load / (2 * (1 - load));

    assertThat(
            simulated(ServiceCurve.affine(0, 1), load, (workload, warmUp) -> new FixedPolicy(1, 0)))
        .isCloseTo(mean, within(0.02 * mean));
  }
}
