package dev.millrace.benchmarks.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.FixedPolicy;
import dev.millrace.batcher.policy.QueueView;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** How the simulator plays the batcher, without noise, on requests of known times. */
class SimulationTest {
  private static final ServiceCurve TEN_MILLIS = ServiceCurve.affine(10, 0);

  private static Scenario recorded(Workload workload) {
    return Scenario.of("recorded", workload, 10, 1).withSigma(0).withUncounted(0);
  }

  private static Traffic requests(String... lines) {
    List<String> text = new ArrayList<>(List.of("time_ms,rows,deadline_ms,priority"));
    text.addAll(List.of(lines));
    return RecordedTraffic.parse("test", text);
  }

  /** Writes down what it is told and asked, and does what {@code inner} does. */
  private static final class Told implements BatchPolicy {
    private final BatchPolicy inner;
    private final List<String> events = new ArrayList<>();

    Told(BatchPolicy inner) {
      this.inner = inner;
    }

    private static long millis(long nanos) {
      return Math.round((double) nanos / 1e6);
    }

    @Override
    public void arrived(int shape, int rows, long acceptedNanos) {
      events.add("arrived " + millis(acceptedNanos));
    }

    @Override
    public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
      events.add("%s %d rows at %d".formatted(trigger, queue.totalRows(), millis(nowNanos)));
      return inner.decide(queue, trigger, nowNanos);
    }

    @Override
    public void started(int shape, int rows, long nowNanos) {
      events.add("started %d at %d".formatted(rows, millis(nowNanos)));
    }

    @Override
    public void completed(int shape, int rows, long startedNanos, long busyNanos, long nowNanos) {
      events.add("completed %d after %d".formatted(rows, millis(busyNanos)));
    }
  }

  @Test
  void policy_isToldAndAskedInTheOrderOfTheContract() {
    Told told = new Told(new FixedPolicy(2, 5_000_000));
    Tally _ =
        Simulation.run(
            recorded(Workload.of(TEN_MILLIS, requests("1,1,,0", "20,1,,0", "22,1,,0", "25,1,,0"))),
            (workload, warmUp) -> told);

    assertThat(told.events)
        .containsExactly(
            "arrived 1",
            "ARRIVAL 1 rows at 1",
            "HOLD_TIMEOUT 1 rows at 6",
            "started 1 at 6",
            "completed 1 after 10",
            "arrived 20",
            "ARRIVAL 1 rows at 20",
            "arrived 22",
            "HOLD_TARGET 2 rows at 22",
            "started 2 at 22",
            "completed 2 after 10",
            "arrived 25",
            "COMPLETION 1 rows at 32",
            "started 1 at 32",
            "completed 1 after 10");
  }

  @Test
  void requests_areTakenWholeByClassAndDeadline() {
    Told told =
        new Told((queue, trigger, nowNanos) -> new BatchPolicy.Run(0, 3, DispatchReason.FULL));
    Trace trace = new Trace();
    Tally _ =
        Simulation.run(
            recorded(
                Workload.of(
                    TEN_MILLIS,
                    requests("0,1,,0", "1,2,900,1", "2,2,500,1", "3,1,,0", "4,1,950,1"))),
            (workload, warmUp) -> told,
            trace);

    assertThat(told.events)
        .filteredOn(event -> event.startsWith("started"))
        .containsExactly("started 1 at 0", "started 3 at 10", "started 3 at 20");
    assertThat(trace.answers().stream().map(Trace.Answer::acceptedNanos))
        .containsExactly(0L, 3_000_000L, 2_000_000L, 1_000_000L, 4_000_000L);
  }

  @Test
  void late_leavesTheQueueUnrunUnlessTheServerKeepsIt() {
    Workload workload = Workload.of(TEN_MILLIS, requests("0,1,,0", "1,1,5,0", "2,1,30,0"));
    PolicyFactory greedy = (kept, warmUp) -> new FixedPolicy(Workload.CAP, 0);

    Tally tally = Simulation.run(recorded(workload), greedy);
    assertThat(tally.shedRows()).isEqualTo(1);
    assertThat(tally.inTimeRows()).isEqualTo(2);
    assertThat(tally.lateRows()).isZero();

    Tally kept = Simulation.run(recorded(workload.withoutExpiry()), greedy);
    assertThat(kept.shedRows()).isZero();
    assertThat(kept.lateRows()).isEqualTo(1);
  }

  @Test
  void shed_isGivenUpFromTheFront() {
    Trace trace = new Trace();
    Tally tally =
        Simulation.run(
            recorded(Workload.of(TEN_MILLIS, requests("0,1,,0", "1,1,,0", "2,1,,0"))),
            (workload, warmUp) ->
                (queue, trigger, nowNanos) ->
                    new BatchPolicy.Run(queue.requests() - 1, 8, DispatchReason.DEADLINE),
            trace);
    assertThat(tally.shedRows()).isEqualTo(1);
    assertThat(trace.answers().stream().map(Trace.Answer::acceptedNanos))
        .containsExactly(0L, 2_000_000L);
  }

  @Test
  void batchesAtOnce_shareTheDevice() {
    Trace trace = new Trace();
    Tally _ =
        Simulation.run(
            recorded(Workload.of(TEN_MILLIS, requests("0,1,,0", "5,1,,0", "6,1,,0")).withRunners(2))
                .withSlowdown(running -> running),
            (workload, warmUp) -> new FixedPolicy(1, 0),
            trace);

    // Alone until 5, then at half speed: 5 of 10 left, so it ends at 15, the second, with 5 of 10
    // done, at 25 beside the third, which has the device to itself from then on.
    assertThat(trace.answers().stream().map(answer -> Math.round((double) answer.nanos() / 1e6)))
        .containsExactly(15L, 25L, 30L);
  }

  @Test
  void sameSeed_isTheSameRun() {
    Scenario scenario =
        Scenario.of("twice", Workload.of(NamedCurve.GPU_MID.curve(), Arrivals.poisson(2)), 3, 9);
    PolicyFactory policy = Rivals.named("adaptive");
    Tally first = Simulation.run(scenario, policy);
    Tally second = Simulation.run(scenario, policy);

    assertThat(second.meanMillis()).isEqualTo(first.meanMillis());
    assertThat(Simulation.run(scenario.withSeed(10), policy).meanMillis())
        .isNotEqualTo(first.meanMillis());
  }

  @Test
  void histogram_quantilesAreWithinAThousandth() {
    LatencyHistogram histogram = new LatencyHistogram();
    for (int i = 1; i <= 100_000; i++) {
      histogram.add(i * 1_000L);
    }
    assertThat(histogram.quantileNanos(0.5)).isCloseTo(50e6, within(50e3));
    assertThat(histogram.quantileNanos(0.99)).isCloseTo(99e6, within(99e3));
    assertThat(histogram.meanNanos()).isCloseTo(50.0005e6, within(1.0));
  }

  @Test
  void plot_isSvgWithItsLines() {
    LinePlot plot = new LinePlot("a < b", "x", "y", true);
    plot.line("one", new double[] {1, 2, 3}, new double[] {1, 10, Double.POSITIVE_INFINITY});
    assertThat(plot.svg())
        .startsWith("<svg")
        .contains("a &lt; b", ">one</text>", ">5</text>")
        .doesNotContain("Infinity", "NaN")
        .endsWith("</svg>\n");
  }
}
