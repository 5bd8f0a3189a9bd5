package dev.millrace.benchmarks.load;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ReportTest {
  @Test
  void read_line_isItsFields() {
    var legs =
        Report.read(List.of("a\t200\t1000000\t0\t600\t400\t7\t1\t2", "a\t1\t1\t0\t0\t0\t0\t0\t0"));
    assertThat(legs).containsOnlyKeys("a");
    Report.Leg leg = legs.getOrDefault("a", List.of()).getFirst();
    assertThat(leg.perSecond()).isEqualTo(200);
    assertThat(leg.cpuPerRequest()).isEqualTo(5);
    assertThat(leg.p99()).isEqualTo(2);
  }

  @Test
  void median_ofEvenCount_isBetween() {
    assertThat(Report.median(List.of(4.0, 1.0, 2.0, 100.0))).isEqualTo(3);
    assertThat(Report.median(List.of(3.0, 1.0, 2.0))).isEqualTo(2);
  }
}
