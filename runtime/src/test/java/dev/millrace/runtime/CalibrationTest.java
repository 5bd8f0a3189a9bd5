package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.LatencySample;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Runs sleep rather than compute, so that what else the machine does hardly shows: those that sleep
 * side by side are the instances of a model that computes, those that sleep one after the other
 * share a bottleneck.
 */
@ExtendWith(TensorLeakExtension.class)
class CalibrationTest {
  private static final int PROCESSORS = 2;

  @TempDir private Path root;
  private final ScriptedModel backend = new ScriptedModel();
  private CalibrationCache cache = new CalibrationCache(Optional.empty());
  private Supplier<Optional<MachineLoad>> machine = Optional::empty;

  @BeforeEach
  void file() throws IOException {
    Trees.write(root, "m.scripted", "");
  }

  @AfterEach
  void nothingIsLeftOpen() {
    assertThat(backend.open).hasValue(0);
    assertThat(backend.openPredictors).hasValue(0);
  }

  private Calibration.Ready calibrate(Map<String, Object> options, Ticker ticker) {
    LoadPlan plan =
        new LoadPlan(
            new ModelId("m", "1"),
            backend,
            root.resolve("m.scripted"),
            ModelOptions.read(Settings.of("test", options)),
            Map.of(),
            Settings.empty("none"));
    return new Calibration(PROCESSORS, GpuHost::here, cache, machine, ticker).load(plan);
  }

  private static void sleep(long micros) {
    long end = System.nanoTime() + micros * 1000;
    while (end - System.nanoTime() > 0) {
      LockSupport.parkNanos(end - System.nanoTime());
    }
  }

  @Test
  void modelThatComputes_runsInParallelInstances() {
    backend.cost = (rows, threads) -> sleep(2000L * rows);
    Calibration.Ready ready = calibrate(Map.of(), Ticker.system());
    try (Instances instances = ready.first()) {
      assertThat(instances.placement()).isEqualTo(new Placement(Device.CPU, 2, 1));
      assertThat(instances.predictors()).hasSize(2);
      assertThat(ready.merge()).isTrue();
      assertThat(ready.properties())
          .containsEntry("batching", "on: verified")
          .hasEntrySatisfying(
              "calibration",
              text -> assertThat(text).startsWith("2 instances x 1 thread, 1 row 2"));
    }
  }

  @Test
  void modelWhoseRunsCostTheSameForAnyBatch_runsAsOneInstanceOfAllThreads() {
    Object bottleneck = new Object();
    backend.cost =
        (rows, threads) -> {
          synchronized (bottleneck) {
            sleep(4000 / threads);
          }
        };
    Calibration.Ready ready = calibrate(Map.of(), Ticker.system());
    try (Instances instances = ready.first()) {
      assertThat(instances.placement()).isEqualTo(new Placement(Device.CPU, 1, 2));
      assertThat(instances.predictors()).hasSize(1);
      assertThat(backend.loadedThreads).containsExactly(1, 2);
      assertThat(backend.mostOpen).hasValue(2);
      assertThat(backend.open).hasValue(1);
      List<LatencySample> samples = ready.samples();
      assertThat(samples).extracting(LatencySample::rows).containsExactly(1, 2, 4, 8, 16, 32, 64);
      assertThat(samples)
          .allSatisfy(sample -> {
            assertThat(sample.rowElements()).isEqualTo(ScriptedModel.WIDTH);
            assertThat(sample.nanos()).isGreaterThanOrEqualTo(2_000_000);
          });
    }
  }

  @Test
  void instancesThatWereHeldUpWhenTheyWereMeasured_areMeasuredAgain() {
    AtomicBoolean isCalm = new AtomicBoolean();
    backend.cost =
        (rows, threads) -> {
          if (threads > 1) {
            isCalm.set(true);
          }
          sleep((isCalm.get() ? 1000L : 3000L) * rows / threads);
        };
    Calibration.Ready ready = calibrate(Map.of(), Ticker.system());
    try (Instances instances = ready.first()) {
      assertThat(backend.loadedThreads).containsExactly(1, 2);
      assertThat(instances.placement()).isEqualTo(new Placement(Device.CPU, 2, 1));
    }
  }

  @Test
  void fewerInstancesThanProcessors_haveToWinAgain() {
    AtomicBoolean wasMeasured = new AtomicBoolean();
    AtomicBoolean isCalm = new AtomicBoolean();
    Object bottleneck = new Object();
    backend.cost =
        (rows, threads) -> {
          wasMeasured.compareAndSet(false, rows == 64);
          isCalm.compareAndSet(false, rows == 1 && wasMeasured.get());
          if (isCalm.get()) {
            sleep(200L * rows);
          } else {
            synchronized (bottleneck) {
              sleep(200L * rows);
            }
          }
        };
    Calibration.Ready ready = calibrate(Map.of("threads", 1), Ticker.system());
    try (Instances instances = ready.first()) {
      assertThat(instances.placement()).isEqualTo(new Placement(Device.CPU, 2, 1));
    }
  }

  @Test
  void whatTheUserGave_isKept() {
    backend.cost = (rows, threads) -> sleep(1000L * rows);
    calibrate(Map.of("instances", 1, "threads", 2), Ticker.system()).close();
    assertThat(backend.loadedThreads).containsExactly(2);
  }

  @Test
  void time_isKeptByTheTicker() {
    AtomicLong nanos = new AtomicLong();
    backend.cost = (rows, threads) -> nanos.addAndGet(10_000_000L * rows);
    Calibration.Ready ready = calibrate(Map.of("calibration-time", "2s"), nanos::get);
    ready.close();
    assertThat(nanos.get()).isLessThanOrEqualTo(Duration.ofSeconds(2).toNanos());
    assertThat(ready.samples()).isNotEmpty();
  }

  @Test
  void modelSlowerThanTheTime_isWarmedUpAndVerified_butNotMeasured() {
    AtomicLong nanos = new AtomicLong();
    backend.cost = (rows, threads) -> nanos.addAndGet(900_000_000L * rows);
    Calibration.Ready ready = calibrate(Map.of(), nanos::get);
    ready.close();
    assertThat(ready.first().placement().instances()).isEqualTo(2);
    assertThat(ready.samples()).isEmpty();
    assertThat(ready.properties()).containsOnlyKeys("batching");
    assertThat(backend.loadedThreads).hasSize(1);
  }

  @Test
  void noTime_measuresNothing_butVerifies() {
    Calibration.Ready ready = calibrate(Map.of("calibration-time", "0s"), Ticker.system());
    ready.close();
    assertThat(ready.samples()).isEmpty();
    assertThat(ready.properties()).containsOnlyKeys("batching");
  }

  @Test
  void noWarmUp_runsNothing() {
    backend.compute =
        rows -> {
          throw new AssertionError("ran");
        };
    Calibration.Ready ready = calibrate(Map.of("warm-up", false), Ticker.system());
    ready.close();
    assertThat(ready.properties()).isEmpty();
    assertThat(ready.merge()).isTrue();
  }

  @Test
  void modelThatDependsOnItsBatch_isMeasuredWithSingleRows() {
    backend.compute =
        rows -> {
          float[][] sums = new float[rows.length][ScriptedModel.WIDTH];
          for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < ScriptedModel.WIDTH; j++) {
              sums[i][j] = rows[i][j] + (i == 0 ? 0 : sums[i - 1][j]);
            }
          }
          return sums;
        };
    Calibration.Ready ready = calibrate(Map.of(), Ticker.system());
    ready.close();
    assertThat(ready.merge()).isFalse();
    assertThat(ready.samples()).extracting(LatencySample::rows).containsExactly(1);

    Calibration.Ready trusted = calibrate(Map.of("batching", "on"), Ticker.system());
    trusted.close();
    assertThat(trusted.merge()).isTrue();
    assertThat(trusted.properties()).doesNotContainKey("batching");
  }

  @Test
  void modelThatFailsWithMadeUpInputs_isReadyAllTheSame() {
    backend.compute =
        rows -> {
          throw new IllegalStateException("made-up inputs do not do");
        };
    Calibration.Ready ready = calibrate(Map.of(), Ticker.system());
    ready.close();
    assertThat(ready.merge()).isTrue();
    assertThat(ready.samples()).isEmpty();
  }

  @Test
  void modelThatFailsWithLargeBatches_isMeasuredUpToThem() {
    backend.compute =
        rows -> {
          if (rows.length > 4) {
            throw new IllegalStateException("no more than four");
          }
          return rows;
        };
    Calibration.Ready ready = calibrate(Map.of(), Ticker.system());
    ready.close();
    assertThat(ready.samples()).extracting(LatencySample::rows).containsExactly(1, 2, 4);
  }

  @Test
  void result_isFoundOutOnce() {
    Object bottleneck = new Object();
    backend.cost =
        (rows, threads) -> {
          synchronized (bottleneck) {
            sleep(4000 / threads);
          }
        };
    cache = new CalibrationCache(Optional.of(root.resolve("cache")));
    Calibration.Ready first = calibrate(Map.of(), Ticker.system());
    first.close();
    assertThat(backend.loadedThreads).containsExactly(1, 2);

    Calibration.Ready again = calibrate(Map.of(), Ticker.system());
    assertThat(again.first().placement()).isEqualTo(new Placement(Device.CPU, 1, 2));
    again.close();
    assertThat(backend.loadedThreads).containsExactly(1, 2, 2);
    assertThat(again.samples()).isEqualTo(first.samples());
    assertThat(again.properties()).isEqualTo(first.properties());
  }

  @Test
  void resultOfABusyMachine_isFoundOutAgain() {
    cache = new CalibrationCache(Optional.of(root.resolve("cache")));
    AtomicLong seconds = new AtomicLong();
    machine =
        () -> {
          long nanos = seconds.incrementAndGet() * 1_000_000_000;
          return Optional.of(new MachineLoad(nanos, 2 * nanos, nanos, 2));
        };
    assertThat(closed(calibrate(Map.of(), Ticker.system())).samples()).isNotEmpty();
    assertThat(root.resolve("cache")).doesNotExist();
    machine = Optional::empty;
    assertThat(closed(calibrate(Map.of(), Ticker.system())).samples()).isNotEmpty();
    assertThat(root.resolve("cache")).isNotEmptyDirectory();
  }

  @Test
  void resultForAnotherEngine_isFoundOutAgain() {
    cache = new CalibrationCache(Optional.of(root.resolve("cache")));
    backend.compute = rows -> new float[1][1];
    assertThat(closed(calibrate(Map.of(), Ticker.system())).merge()).isFalse();
    backend.compute = rows -> rows;
    assertThat(closed(calibrate(Map.of(), Ticker.system())).merge()).isFalse();
    backend.maxBatchSize = 32;
    assertThat(closed(calibrate(Map.of(), Ticker.system())).merge()).isTrue();
  }

  private static Calibration.Ready closed(Calibration.Ready ready) {
    ready.close();
    return ready;
  }

  @Test
  void secondLoadThatFails_leavesTheFirst() {
    AtomicLong loads = new AtomicLong();
    backend.onLoad =
        () -> {
          if (loads.incrementAndGet() > 1) {
            throw new InferenceException(ErrorCode.RESOURCE_EXHAUSTED, "no memory");
          }
        };
    Calibration.Ready ready = calibrate(Map.of(), Ticker.system());
    assertThat(ready.first().placement().threads()).isEqualTo(1);
    assertThat(ready.samples()).isNotEmpty();
    ready.close();
  }

  @Test
  void engineThatCannotRunTheModel_failsTheLoad_andNothingIsLeft() {
    backend.compute =
        rows -> {
          throw new InferenceException(ErrorCode.UNIMPLEMENTED, "no kernel");
        };
    assertThatThrownBy(() -> calibrate(Map.of(), Ticker.system())).hasMessage("no kernel");
  }

  @Test
  void summary_hasTwoDigitsThatCount() {
    assertThat(
            Calibration.summary(
                new Placement(Device.CPU, 2, 1),
                List.of(
                    new LatencySample(4, 1, 81_234),
                    new LatencySample(4, 2, 100_000),
                    new LatencySample(4, 64, 5_149_000))))
        .isEqualTo("2 instances x 1 thread, 1 row 0.081 ms, 64 rows 5.1 ms");
    assertThat(
            Calibration.summary(
                new Placement(Device.CPU, 1, 4), List.of(new LatencySample(4, 1, 12_345_678))))
        .isEqualTo("1 instance x 4 threads, 1 row 12 ms");
  }
}
