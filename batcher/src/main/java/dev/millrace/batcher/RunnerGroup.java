package dev.millrace.batcher;

import dev.millrace.api.spi.Predictor;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Predictors of a model that run on one device. The groups of a model share its queue.
 *
 * @param predictors at least one; the batcher takes them over
 * @param device what the model may use of the device, if others use it too; stays the caller's, who
 *     closes it after the batcher. Null if the model has the device for itself.
 * @param spares makes a predictor in place of one whose run does not come back; called on a
 *     runner's thread, and what it makes is the batcher's. Null if there can be none.
 * @param onRun hears how long each run took that went well, in nanoseconds; called on runners'
 *     threads, by several at once, and must not throw
 */
public record RunnerGroup(
    List<? extends Predictor> predictors,
    DeviceArbiter.@Nullable Share device,
    @Nullable Supplier<? extends Predictor> spares,
    LongConsumer onRun) {
  public RunnerGroup {
    predictors = List.copyOf(predictors);
    if (predictors.isEmpty()) {
      throw new IllegalArgumentException("a batcher needs a predictor");
    }
  }

  /** Predictors that have their device for themselves and whose runs all come back. */
  public static RunnerGroup of(List<? extends Predictor> predictors) {
    return new RunnerGroup(predictors, null, null, nanos -> {});
  }

  /** This group on a device that others use, too. */
  public RunnerGroup on(DeviceArbiter.Share share) {
    return new RunnerGroup(predictors, share, spares, onRun);
  }

  /** This group with a maker of further predictors. */
  public RunnerGroup withSpares(Supplier<? extends Predictor> maker) {
    return new RunnerGroup(predictors, device, maker, onRun);
  }

  /** This group with who hears of its runs. */
  public RunnerGroup heardBy(LongConsumer hearer) {
    return new RunnerGroup(predictors, device, spares, hearer);
  }
}
