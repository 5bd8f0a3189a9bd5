package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Device;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.runtime.PlacementSearch.Speeds;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class PlacementSearchTest {
  private static final int PROCESSORS = 4;

  private final AtomicLong nanos = new AtomicLong(-5);
  private final List<String> measured = new ArrayList<>();

  /** Milliseconds of a run, given the instances at once, the rows and the threads. */
  @FunctionalInterface
  private interface Times {
    double millis(int concurrent, int rows, int threads);
  }

  private final class FakeBench implements PlacementSearch.Bench {
    private final Times times;
    private final int threads;

    FakeBench(Times times, int threads) {
      this.times = times;
      this.threads = threads;
    }

    @Override
    public boolean takes(int rows) {
      return true;
    }

    @Override
    public long runNanos(int concurrent, int rows, long untilNanos) {
      measured.add(concurrent + "x" + rows);
      long time = (long) (1e6 * times.millis(concurrent, rows, threads));
      nanos.addAndGet(2 * time);
      return time;
    }

    @Override
    public void close() {}
  }

  private Placement best(Times times, Map<String, Object> options) {
    ModelOptions read = ModelOptions.read(Settings.of("test", options));
    Placement first =
        new DeviceSelection(new FakeBackend(), GpuHost::here, PROCESSORS).place(read).getFirst();
    List<Placement> open = first.alternatives(read, PROCESSORS);
    PlacementSearch search = new PlacementSearch(nanos::get, 64, List.of());
    Map<Integer, Speeds> speeds = new TreeMap<>();
    for (Placement placement : open) {
      if (!speeds.containsKey(placement.threads())) {
        List<Integer> counts =
            open.stream()
                .filter(each -> each.threads() == placement.threads())
                .map(Placement::instances)
                .toList();
        speeds.put(
            placement.threads(),
            search.measure(
                new FakeBench(times, placement.threads()), counts, nanos.get() + (1L << 50)));
      }
    }
    return PlacementSearch.best(open, speeds).orElseThrow();
  }

  /** Threads inside a run are lost on it, instances are not: a convolution net on a CPU. */
  @Test
  void modelThatComputes_runsSideBySide() {
    assertThat(best((concurrent, rows, threads) -> rows * (1 - 0.05 * (threads - 1)), Map.of()))
        .isEqualTo(new Placement(Device.CPU, PROCESSORS, 1));
  }

  /** What a run costs is the reading of the weights, which all instances share. */
  @Test
  void modelBoundByMemory_runsAsOneInstanceOfLargeBatches() {
    assertThat(
            best(
                (concurrent, rows, threads) ->
                    concurrent * (4 + 0.02 * rows) / Math.min(2, threads),
                Map.of()))
        .isEqualTo(new Placement(Device.CPU, 1, PROCESSORS));
  }

  @Test
  void modelThatGainsLittleByThreads_runsSideBySide() {
    assertThat(best((concurrent, rows, threads) -> 1.0 * rows / threads, Map.of()))
        .isEqualTo(new Placement(Device.CPU, PROCESSORS, 1));
    assertThat(best((concurrent, rows, threads) -> rows / Math.pow(threads, 1.1), Map.of()))
        .isEqualTo(new Placement(Device.CPU, PROCESSORS, 1));
    assertThat(best((concurrent, rows, threads) -> rows / Math.pow(threads, 1.5), Map.of()))
        .isEqualTo(new Placement(Device.CPU, 1, PROCESSORS));
  }

  /** An interpreter that runs one thing at a time. */
  @Test
  void modelThatRunsOneAfterTheOther_getsOneInstanceOfOneThread() {
    assertThat(best((concurrent, rows, threads) -> concurrent * 1.0 * rows, Map.of()))
        .isEqualTo(new Placement(Device.CPU, 1, 1));
  }

  @Test
  void modelBetweenTheTwo_getsTwoInstancesOfTwoThreads() {
    assertThat(
            best(
                (concurrent, rows, threads) ->
                    rows * (concurrent > 2 ? 3.0 : 1.0) / (threads > 2 ? 2 : threads),
                Map.of()))
        .isEqualTo(new Placement(Device.CPU, 2, 2));
  }

  @Test
  void whatTheUserGave_isKept() {
    Times parallel = (concurrent, rows, threads) -> 1.0 * rows;
    assertThat(best(parallel, Map.of("instances", 3))).isEqualTo(new Placement(Device.CPU, 3, 1));
    assertThat(best(parallel, Map.of("threads", 2))).isEqualTo(new Placement(Device.CPU, 2, 2));
    assertThat(best(parallel, Map.of("threads", 2, "instances", 5)))
        .isEqualTo(new Placement(Device.CPU, 5, 2));
  }

  @Test
  void otherDevices_areLeftAsTheyAre() {
    Placement gpu = new Placement(new Device(Device.Kind.GPU, 0), 1, 1);
    assertThat(gpu.alternatives(ModelOptions.none(), PROCESSORS)).containsExactly(gpu);
  }

  @Test
  void processorsThatAreNoPowerOfTwo_areAllUsed() {
    Placement all = new Placement(Device.CPU, 6, 1);
    assertThat(all.alternatives(ModelOptions.none(), 6))
        .containsExactlyInAnyOrder(
            all,
            new Placement(Device.CPU, 4, 1),
            new Placement(Device.CPU, 2, 1),
            new Placement(Device.CPU, 1, 1),
            new Placement(Device.CPU, 2, 3),
            new Placement(Device.CPU, 1, 6));
  }

  @Test
  void measuring_endsBeforeTheTime_andTheSizesThatFitAreThere() {
    PlacementSearch search = new PlacementSearch(nanos::get, 64, List.of());
    long start = nanos.get();
    long until = start + Duration.ofSeconds(1).toNanos();
    Speeds speeds =
        search.measure(new FakeBench((c, rows, t) -> 10.0 * rows, 1), List.of(1, 2), until);
    assertThat(nanos.get() - until).isNegative();
    assertThat(speeds.curve().keySet()).startsWith(1, 2, 4).doesNotContain(32);
    assertThat(measured).startsWith("1x1", "1x2", "2x1", "1x4", "2x2");
  }

  @Test
  void curve_isCompletedWithTheSizesAskedFor() {
    PlacementSearch search = new PlacementSearch(nanos::get, 48, List.of(3, 100));
    FakeBench bench = new FakeBench((c, rows, t) -> 1, 1);
    Speeds speeds = search.measure(bench, List.of(1), nanos.get() + (1L << 40));
    search.complete(speeds, bench, nanos.get() + (1L << 40));
    assertThat(speeds.curve().keySet()).containsExactly(1, 2, 3, 4, 8, 16, 32, 48);
  }

  @Test
  void runThatFails_endsTheMeasuring_andWhatWasMeasuredCounts() {
    PlacementSearch search = new PlacementSearch(nanos::get, 64, List.of());
    FakeBench bench =
        new FakeBench(
            (c, rows, t) -> {
              if (rows > 2) {
                throw InferenceException.invalidArgument("too many");
              }
              return 1;
            },
            1);
    Speeds speeds = search.measure(bench, List.of(1), nanos.get() + (1L << 40));
    search.complete(speeds, bench, nanos.get() + (1L << 40));
    assertThat(speeds.curve().keySet()).containsExactly(1, 2);
    assertThat(measured).containsExactly("1x1", "1x2", "1x4");
  }
}
