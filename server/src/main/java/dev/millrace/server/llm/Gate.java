package dev.millrace.server.llm;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.UpstreamPolicy.Limits;
import java.time.Duration;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * Lets so many requests of a model, and of each client's key, in at once; others wait in line, and
 * more than that are refused. First come, first served, but for keys that have all they may have.
 * Thread-safe.
 */
final class Gate {
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

  /** A request that wants in. */
  interface Visitor {
    /** Whose it is. */
    String key();

    /** It is let in after it had to wait; called by any thread, under no lock. */
    void admitted();
  }

  private static final class KeyUse {
    private int inside;
    private int waiting;
  }

  private final Limits limits;
  private final boolean limitsKeys;

  /** Whether nothing is limited. */
  private final boolean isOpen;

  private final Set<Visitor> line = new LinkedHashSet<>();
  private final Map<String, KeyUse> keys = new HashMap<>();
  private int inside;

  Gate(Limits limits) {
    this.limits = limits;
    this.limitsKeys = limits.keyConcurrency() < Integer.MAX_VALUE;
    this.isOpen = !limitsKeys && limits.concurrency() == Integer.MAX_VALUE;
  }

  /**
   * Asks to be let in.
   *
   * @return whether it is in already; if not, it will be told, unless it {@linkplain #giveUp gives
   *     up} before
   * @throws InferenceException RESOURCE_EXHAUSTED if the line is full
   */
  boolean enter(Visitor visitor) {
    return isOpen || enterOrWait(visitor);
  }

  private synchronized boolean enterOrWait(Visitor visitor) {
    if (line.isEmpty() && mayEnter(visitor)) {
      count(visitor);
      return true;
    }
    if (mayEnter(visitor) && line.stream().noneMatch(this::mayEnter)) {
      count(visitor);
      return true;
    }
    KeyUse use = limitsKeys ? use(visitor) : null;
    if (line.size() >= limits.queue()) {
      forget(visitor);
      throw InferenceException.exhausted(
          "the model is busy: %d requests run and %d wait".formatted(inside, line.size()),
          RETRY_AFTER);
    }
    if (use != null && use.waiting >= limits.keyQueue()) {
      throw InferenceException.exhausted(
          "too many requests with this key: %d run and %d wait".formatted(use.inside, use.waiting),
          RETRY_AFTER);
    }
    if (use != null) {
      use.waiting++;
    }
    line.add(visitor);
    return false;
  }

  private boolean mayEnter(Visitor visitor) {
    return inside < limits.concurrency()
        && (!limitsKeys
            || !keys.containsKey(visitor.key())
            || use(visitor).inside < limits.keyConcurrency());
  }

  private KeyUse use(Visitor visitor) {
    return keys.computeIfAbsent(visitor.key(), key -> new KeyUse());
  }

  private void count(Visitor visitor) {
    inside++;
    if (limitsKeys) {
      use(visitor).inside++;
    }
  }

  private void forget(Visitor visitor) {
    KeyUse use = keys.get(visitor.key());
    if (use != null && use.inside == 0 && use.waiting == 0) {
      keys.remove(visitor.key());
    }
  }

  /** A request that waits wants in no more; whether it was still waiting. */
  synchronized boolean giveUp(Visitor visitor) {
    if (!line.remove(visitor)) {
      return false;
    }
    if (limitsKeys) {
      use(visitor).waiting--;
      forget(visitor);
    }
    return true;
  }

  /** A request that was in goes. */
  void leave(Visitor visitor) {
    if (isOpen) {
      return;
    }
    Visitor next = null;
    synchronized (this) {
      inside--;
      if (limitsKeys) {
        use(visitor).inside--;
        forget(visitor);
      }
      for (Iterator<Visitor> waiting = line.iterator(); waiting.hasNext() && next == null; ) {
        Visitor first = waiting.next();
        if (mayEnter(first)) {
          waiting.remove();
          if (limitsKeys) {
            use(first).waiting--;
          }
          count(first);
          next = first;
        }
      }
    }
    if (next != null) {
      next.admitted();
    }
  }

  /** Requests that wait. */
  synchronized int waiting() {
    return line.size();
  }
}
