package dev.millrace.batcher;

import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.Forecast;
import dev.millrace.batcher.policy.LearnedState;
import dev.millrace.batcher.policy.QueueView;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Asks another policy, and where that throws, logs it and goes on with what harms nobody. */
final class GuardedPolicy implements BatchPolicy {
  private static final Logger log = LoggerFactory.getLogger(GuardedPolicy.class);

  private final BatchPolicy policy;
  private final String model;

  GuardedPolicy(BatchPolicy policy, String model) {
    this.policy = policy;
    this.model = model;
  }

  @Override
  public void shape(int shape, long rowElements) {
    try {
      policy.shape(shape, rowElements);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public void arrived(int shape, int rows, long acceptedNanos) {
    try {
      policy.arrived(shape, rows, acceptedNanos);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
    try {
      return policy.decide(queue, trigger, nowNanos);
    } catch (RuntimeException | Error e) {
      report(e);
      return new Run(0, queue.rows(), DispatchReason.DRAIN);
    }
  }

  @Override
  public boolean worthPadding(
      int shape, int rows, int otherShape, int otherRows, long paddedRowElements) {
    try {
      return policy.worthPadding(shape, rows, otherShape, otherRows, paddedRowElements);
    } catch (RuntimeException | Error e) {
      report(e);
      return false;
    }
  }

  @Override
  public void started(int shape, int rows, long nowNanos) {
    try {
      policy.started(shape, rows, nowNanos);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public void completed(int shape, int rows, long startedNanos, long busyNanos, long nowNanos) {
    try {
      policy.completed(shape, rows, startedNanos, busyNanos, nowNanos);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public int concurrency() {
    try {
      return Math.max(1, policy.concurrency());
    } catch (RuntimeException | Error e) {
      report(e);
      return Integer.MAX_VALUE;
    }
  }

  @Override
  public Forecast forecast() {
    try {
      return policy.forecast();
    } catch (RuntimeException | Error e) {
      report(e);
      return Forecast.unknown();
    }
  }

  @Override
  public Optional<LearnedState> learned() {
    try {
      return policy.learned();
    } catch (RuntimeException | Error e) {
      report(e);
      return Optional.empty();
    }
  }

  private void report(Throwable e) {
    log.error("the batch policy of model '{}' failed", model, e);
  }
}
