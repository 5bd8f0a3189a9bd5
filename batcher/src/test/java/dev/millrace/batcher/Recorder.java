package dev.millrace.batcher;

import java.util.ArrayList;
import java.util.List;

/** Remembers what a batcher told it, as texts. */
final class Recorder implements BatchListener {
  private final List<String> events = new ArrayList<>();

  synchronized List<String> events() {
    return List.copyOf(events);
  }

  private synchronized void add(String event) {
    events.add(event);
  }

  @Override
  public void requestStarted(long queueNanos) {
    add("started after %d ms".formatted(queueNanos / 1_000_000));
  }

  @Override
  public void batchCompleted(int requests, int rows, long computeNanos) {
    add("completed %d/%d in %d ms".formatted(requests, rows, computeNanos / 1_000_000));
  }

  @Override
  public void batchFailed(int requests, int rows) {
    add("failed %d/%d".formatted(requests, rows));
  }

  @Override
  public void requestShed(ShedReason reason) {
    add("shed " + reason);
  }
}
