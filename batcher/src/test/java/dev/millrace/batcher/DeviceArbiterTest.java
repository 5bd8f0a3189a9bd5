package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.testing.TensorLeakExtension;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class DeviceArbiterTest {
  private final AtomicInteger running = new AtomicInteger();
  private final AtomicInteger mostRunning = new AtomicInteger();

  /** A model whose run takes about so long, and counts with the others. */
  private TestPredictor model(long millis) {
    return new TestPredictor(inputs -> {
      mostRunning.accumulateAndGet(running.incrementAndGet(), Math::max);
      long end = System.nanoTime() + millis * 1_000_000;
      for (long left = end - System.nanoTime(); left > 0; left = end - System.nanoTime()) {
        LockSupport.parkNanos(left);
      }
      running.decrementAndGet();
      return TestPredictor.same(inputs);
    });
  }

  private static Batcher start(DeviceArbiter.Share share, TestPredictor... predictors) {
    return Batcher.of("m", new BatcherConfig(1, 10_000, 1 << 30), new GreedyPolicy())
        .ticker(Ticker.system())
        .startGroups(List.of(RunnerGroup.of(List.of(predictors)).on(share)));
  }

  /** More requests than will be run. */
  private static List<Reply> load(Batcher batcher) {
    List<Reply> replies = new ArrayList<>();
    for (int i = 0; i < 2_000; i++) {
      replies.add(batcher.submit(Inputs.x(1), List.of(), Deadline.none()));
    }
    return replies;
  }

  private static void giveUp(List<Reply> replies) {
    for (Reply reply : replies) {
      if (!reply.cancel(false) && !reply.isCancelled()) {
        Await.outputs(reply).close();
      }
    }
  }

  private double shareOfFirst(int weight, int otherWeight) {
    DeviceArbiter device = new DeviceArbiter(1);
    try (DeviceArbiter.Share fast = device.join(weight, 1);
        DeviceArbiter.Share slow = device.join(otherWeight, 1);
        Batcher fastModel = start(fast, model(1));
        Batcher slowModel = start(slow, model(10))) {
      List<Reply> replies = load(slowModel);
      replies.addAll(load(fastModel));
      long fastBefore = fast.usedNanos();
      long before = fastBefore + slow.usedNanos();
      Await.until(() -> fast.usedNanos() + slow.usedNanos() - before > 1_000_000_000);
      long fastUsed = fast.usedNanos() - fastBefore;
      double share = (double) fastUsed / (fast.usedNanos() + slow.usedNanos() - before);
      giveUp(replies);
      return share;
    }
  }

  @Test
  void models_getTheirSharesOfTheTimeHoweverLongTheyRun() {
    assertThat(shareOfFirst(1, 1)).isBetween(0.45, 0.55);
    assertThat(shareOfFirst(3, 1)).isBetween(0.70, 0.80);
    assertThat(mostRunning).as("one place").hasValue(1);
  }

  @Test
  void loneModel_runsAsItLikes() {
    DeviceArbiter device = new DeviceArbiter(1);
    TestPredictor one = TestPredictor.gated();
    TestPredictor two = TestPredictor.gated();
    try (DeviceArbiter.Share share = device.join(1, 1);
        Batcher batcher = start(share, one, two)) {
      List<Reply> replies = new ArrayList<>();
      replies.add(batcher.submit(Inputs.x(1), List.of(), Deadline.none()));
      replies.add(batcher.submit(Inputs.x(2), List.of(), Deadline.none()));
      Await.until(() -> one.batches.size() + two.batches.size() == 2);
      one.open();
      two.open();
      replies.forEach(reply -> Await.outputs(reply).close());
    }
  }

  @Test
  void runsOfManyThreads_takeAsManyPlaces() {
    DeviceArbiter device = new DeviceArbiter(4);
    try (DeviceArbiter.Share narrow = device.join(1, 1);
        DeviceArbiter.Share wide = device.join(1, 16);
        Batcher narrowModel = start(narrow, model(1), model(1));
        Batcher wideModel = start(wide, model(1))) {
      List<Reply> replies = load(narrowModel);
      replies.addAll(load(wideModel));
      Await.until(() -> narrow.usedNanos() > 100_000_000 && wide.usedNanos() > 100_000_000);
      giveUp(replies);
    }
    assertThat(mostRunning).hasValueLessThanOrEqualTo(2);
  }

  @Test
  void modelThatLeaves_leavesTheDeviceToTheOthers() {
    DeviceArbiter device = new DeviceArbiter(1);
    try (DeviceArbiter.Share stays = device.join(1, 1);
        Batcher batcher = start(stays, TestPredictor.echo())) {
      try (DeviceArbiter.Share leaves = device.join(1, 1);
          Batcher other = start(leaves, TestPredictor.echo())) {
        Await.outputs(other.submit(Inputs.x(1), List.of(), Deadline.none())).close();
        assertThat(stays.isContended()).isTrue();
      }
      assertThat(stays.isContended()).isFalse();
      Await.outputs(batcher.submit(Inputs.x(1), List.of(), Deadline.none())).close();
    }
  }

  @Test
  void modelOnTwoDevices_runsOnTheOneThatIsFree() {
    DeviceArbiter first = new DeviceArbiter(1);
    DeviceArbiter second = new DeviceArbiter(1);
    TestPredictor rival = TestPredictor.gated();
    TestPredictor onFirst = TestPredictor.echo();
    TestPredictor onSecond = TestPredictor.echo();
    try (DeviceArbiter.Share ofRival = first.join(1, 1);
        DeviceArbiter.Share one = first.join(1, 1);
        DeviceArbiter.Share two = second.join(1, 1);
        Batcher rivals = start(ofRival, rival);
        Batcher batcher = startOn(RunnerGroup.of(List.of(onFirst)).on(one), onSecond, two)) {
      Reply occupies = rivals.submit(Inputs.x(1), List.of(), Deadline.none());
      Await.until(() -> rival.batches.size() == 1);
      for (int i = 0; i < 4; i++) { // each wakes the first runner, which has to wait
        Await.outputs(batcher.submit(Inputs.x(i), List.of(), Deadline.none())).close();
      }
      assertThat(onSecond.batches).hasSize(4);
      assertThat(onFirst.batches).isEmpty();
      assertThat(two.isContended()).isFalse();
      rival.open();
      Await.outputs(occupies).close();
    }
  }

  private static Batcher startOn(
      RunnerGroup group, TestPredictor predictor, DeviceArbiter.Share share) {
    return Batcher.of("m", new BatcherConfig(1, 10_000, 1 << 30), new GreedyPolicy())
        .startGroups(List.of(group, RunnerGroup.of(List.of(predictor)).on(share)));
  }

  @Test
  void runners_areWokenInTurnOverTheDevices() {
    TestPredictor[] predictors = new TestPredictor[4];
    List<List<Long>> runs = List.of(new CopyOnWriteArrayList<>(), new CopyOnWriteArrayList<>());
    List<RunnerGroup> groups = new ArrayList<>();
    for (int device = 0; device < 2; device++) {
      predictors[2 * device] = TestPredictor.gated();
      predictors[2 * device + 1] = TestPredictor.gated();
      groups.add(
          RunnerGroup.of(List.of(predictors[2 * device], predictors[2 * device + 1]))
              .heardBy(runs.get(device)::add));
    }
    try (Batcher batcher =
        Batcher.of("m", new BatcherConfig(1, 10_000, 1 << 30), new GreedyPolicy())
            .startGroups(groups)) {
      Await.until(() -> batcher.idleRunners() == 4); // one that still starts takes what it finds
      List<Reply> replies = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        replies.add(batcher.submit(Inputs.x(i), List.of(), Deadline.none()));
        int submitted = i + 1;
        Await.until(() -> batcher.runningBatches() == submitted);
      }
      Await.until(() -> predictors[0].batches.size() + predictors[1].batches.size() == 1);
      Await.until(() -> predictors[2].batches.size() + predictors[3].batches.size() == 1);
      List.of(predictors).forEach(TestPredictor::open);
      replies.forEach(reply -> Await.outputs(reply).close());
    }
    assertThat(runs.get(0)).hasSize(1);
    assertThat(runs.get(1)).hasSize(1);
  }
}
