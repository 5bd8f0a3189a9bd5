package dev.millrace.benchmarks.simulation;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.batcher.policy.FixedPolicy;
import dev.millrace.benchmarks.simulation.Cell.Figures;
import dev.millrace.benchmarks.simulation.Comparison.Metric;
import dev.millrace.benchmarks.simulation.NamedSets.GoodputCell;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the adaptive policy has to reach, with fixed seeds. */
class GatesTest {
  private static final Contender ADAPTIVE = Rivals.named("adaptive");
  private static final Contender UNBATCHED =
      new Contender("unbatched", (workload, warmUp) -> new FixedPolicy(1, 0));

  private static String name(Cell cell) {
    return cell.group() + " " + cell.name();
  }

  @Test
  void lowLoad_isAsFastAsUnbatched() {
    SoftAssertions softly = new SoftAssertions();
    for (Cell cell : new NamedSets(200, 1).poisson()) {
      if (cell.name().equals("load 0.02")) {
        Figures figures = ADAPTIVE.run(cell);
        Figures unbatched = UNBATCHED.run(cell);
        softly
            .assertThat(figures.p50() / unbatched.p50())
            .as("%s: p50 to unbatched", name(cell))
            .isLessThanOrEqualTo(1.02);
        softly
            .assertThat(figures.p99() / unbatched.p99())
            .as("%s: p99 to unbatched", name(cell))
            .isLessThanOrEqualTo(1.02);
      }
    }
    softly.assertAll();
  }

  @Test
  void closedLoop_isAsGoodAsTheBestFixedSetting() {
    Comparison comparison = Comparison.run(new NamedSets(6, 1).closedLoops(), List.of(ADAPTIVE));
    SoftAssertions softly = new SoftAssertions();
    for (Comparison.Row row : comparison.rows()) {
      Figures figures = row.figures().getFirst();
      softly
          .assertThat(figures.rate() / row.oracle().rate())
          .as("%s: throughput to the best fixed", name(row.cell()))
          .isGreaterThanOrEqualTo(0.96);
      softly
          .assertThat(Metric.MEAN.ratio(figures, row.oracle()))
          .as("%s: mean to the best fixed", name(row.cell()))
          .isLessThanOrEqualTo(1.05);
    }
    softly.assertAll();
  }

  @Test
  void curveWithoutGain_isNotBatched() {
    NamedSets sets = new NamedSets(30, 1);
    SoftAssertions softly = new SoftAssertions();
    for (Cell cell : sets.poisson()) {
      checkNoGain(cell, 1.1, softly);
    }
    for (Cell cell : sets.closedLoops()) {
      checkNoGain(cell, 1.3, softly);
    }
    softly.assertAll();
  }

  private static void checkNoGain(Cell cell, double most, SoftAssertions softly) {
    if (cell.group().equals(NamedCurve.CPU_NONE.toString())) {
      softly
          .assertThat(ADAPTIVE.run(cell).p99() / UNBATCHED.run(cell).p99())
          .as("%s: p99 to unbatched", name(cell))
          .isLessThanOrEqualTo(most);
    }
  }

  /** As the median over curves and deadlines; each cell is printed by {@code simulate goodput}. */
  @Test
  void overload_keepsTheCapacity() {
    Map<String, List<Double>> shares = new TreeMap<>();
    for (GoodputCell cell : new NamedSets(6, 1).goodput()) {
      if (cell.load() > 1 && (!cell.bursts() || cell.curve().hasGain())) {
        shares
            .computeIfAbsent(
                (cell.bursts() ? "bursts " : "poisson ") + cell.load(), _ -> new ArrayList<>())
            .add(ADAPTIVE.run(cell.cell()).good() / cell.capacity());
      }
    }
    assertThat(shares).hasSize(8);
    SoftAssertions softly = new SoftAssertions();
    shares.forEach((load, cells) ->
        softly
            .assertThat(cells.stream().sorted().toList().get(cells.size() / 2))
            .as("%s: median goodput to capacity", load)
            .isGreaterThanOrEqualTo(load.startsWith("poisson") ? 0.9 : 0.85));
    softly.assertAll();
  }

  static List<Change> changes() {
    return Change.all();
  }

  @ParameterizedTest
  @MethodSource("changes")
  void change_isForgottenInFiftyBatches(Change change) {
    assertThat(change.ratioAfter(50, ADAPTIVE)).isLessThanOrEqualTo(1.1);
  }

  @Test
  void twoModelsOneTenTimesSlower_shareTheDevice() {
    ServiceCurve fast = ServiceCurve.affine(1, 0.1);
    ServiceCurve slow = ServiceCurve.affine(10, 1);
    Scenario scenario =
        Scenario.of("shared", Workload.of(fast, NamedSets.closedLoop(64)), 20, 7)
            .withWorkloads(
                List.of(
                    Workload.of(fast, NamedSets.closedLoop(256)),
                    Workload.of(slow, NamedSets.closedLoop(256))),
                1);
    List<Tally> tallies =
        Simulation.run(
            scenario, List.of(ADAPTIVE, ADAPTIVE), new FairQueueing(1, 1), Observer.NONE);
    double total = tallies.get(0).busySeconds() + tallies.get(1).busySeconds();

    assertThat(tallies.get(0).busySeconds() / total).isBetween(0.45, 0.55);
    assertThat(total).isGreaterThan(0.95 * 16);
  }

  @Test
  void randomScenarios_areNearTheOracle() {
    Comparison comparison = Comparison.run(RandomScenarios.draw(20_261_125, 60), List.of(ADAPTIVE));
    double[] ratios = comparison.ratios(0, Metric.MEAN);

    assertThat(Comparison.geometricMean(ratios)).isLessThanOrEqualTo(1.03);
    SoftAssertions softly = new SoftAssertions();
    for (int i = 0; i < ratios.length; i++) {
      softly
          .assertThat(ratios[i])
          .as("scenario %d, %s: mean to the oracle", i, name(comparison.rows().get(i).cell()))
          .isLessThanOrEqualTo(1.15);
    }
    softly.assertAll();
  }
}
