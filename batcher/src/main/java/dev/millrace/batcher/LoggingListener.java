package dev.millrace.batcher;

import dev.millrace.batcher.policy.DispatchReason;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Passes on what another listener is told, and logs what that throws instead of throwing it. */
final class LoggingListener implements BatchListener {
  private static final Logger log = LoggerFactory.getLogger(LoggingListener.class);

  private final BatchListener listener;

  LoggingListener(BatchListener listener) {
    this.listener = listener;
  }

  @Override
  public void requestStarted(long queueNanos) {
    try {
      listener.requestStarted(queueNanos);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public void batchStarted(DispatchReason reason, int requests, int rows, int padRows) {
    try {
      listener.batchStarted(reason, requests, rows, padRows);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public void batchCompleted(int requests, int rows, long computeNanos) {
    try {
      listener.batchCompleted(requests, rows, computeNanos);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public void batchFinished(BatchTimes times) {
    try {
      listener.batchFinished(times);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public void batchFailed(int requests, int rows) {
    try {
      listener.batchFailed(requests, rows);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  @Override
  public void requestShed(ShedReason reason) {
    try {
      listener.requestShed(reason);
    } catch (RuntimeException | Error e) {
      report(e);
    }
  }

  private static void report(Throwable e) {
    log.error("a batch listener failed", e);
  }
}
