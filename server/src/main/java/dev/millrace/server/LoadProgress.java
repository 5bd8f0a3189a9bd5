package dev.millrace.server;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.ModelDescription;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Remembers how loading goes on and what came of it; says so when asked. The runtime logs each
 * model when it is loaded or has failed. Thread-safe.
 */
final class LoadProgress implements LoadListener {
  private static final Logger log = LoggerFactory.getLogger(LoadProgress.class);

  private final Map<String, Long> running = new TreeMap<>();
  private final Map<String, String> failed = new TreeMap<>();
  private int loaded;

  @Override
  public synchronized void loading(ModelId model) {
    running.put(model.toString(), System.nanoTime());
  }

  @Override
  public synchronized void loaded(ModelId model, ModelDescription description, Duration elapsed) {
    running.remove(model.toString());
    loaded++;
  }

  @Override
  public synchronized void failed(ModelId model, InferenceException reason, Duration elapsed) {
    running.remove(model.toString());
    failed.put(model.toString(), reason.getMessage());
  }

  /** Says what is still being loaded. */
  synchronized void tell() {
    long now = System.nanoTime();
    running.forEach((model, start) ->
        log.info("Still loading {}, for {} s", model, (now - start) / 1_000_000_000L));
  }

  /** How many versions were loaded. */
  synchronized int loaded() {
    return loaded;
  }

  /** The reasons of what failed, by model. */
  synchronized Map<String, String> failures() {
    return Map.copyOf(failed);
  }

  /** All that failed, in one line; empty if nothing did. */
  synchronized String failureLine() {
    return failed.entrySet().stream()
        .map(entry ->
            entry.getValue().contains(entry.getKey())
                ? entry.getValue()
                : entry.getKey() + ": " + entry.getValue())
        .collect(Collectors.joining("; "));
  }

  /** A time span for people. */
  static String seconds(Duration time) {
    return time.toMillis() < 1000
        ? time.toMillis() + " ms"
        : "%.1f s".formatted(time.toMillis() / 1000.0);
  }
}
