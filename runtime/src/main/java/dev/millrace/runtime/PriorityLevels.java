package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.batcher.Batcher;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The priorities that a model's requests may have, as Triton's {@code dynamic_batching} says it:
 * levels from 1, which is served first.
 *
 * @param levels how many there are; 0 for as many as the batcher has
 * @param usual the level of requests that name none, or one that there is not; 0 for the first
 * @param queueLimit requests that may wait of each level that has no policy of its own
 * @param policies what levels have to themselves, by level
 */
public record PriorityLevels(
    int levels, int usual, Optional<Integer> queueLimit, Map<Integer, QueuePolicy> policies) {
  static final PriorityLevels ANY = new PriorityLevels(0, 0, Optional.empty(), Map.of());

  /**
   * What one level's requests have to themselves.
   *
   * @param timeout after which such a request is given up, if it says nothing else
   * @param queueLimit requests that may wait
   */
  public record QueuePolicy(Optional<Duration> timeout, Optional<Integer> queueLimit) {}

  public PriorityLevels {
    policies = Map.copyOf(policies);
  }

  /**
   * The level that a request's parameter {@code priority} asks for; from 1.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is negative
   */
  private int level(InferenceRequest request) {
    long asked = RequestValidator.priority(request);
    boolean named = asked > 0 && (levels == 0 || asked <= levels);
    return named ? (int) Math.min(asked, Batcher.LOWEST_PRIORITY + 1) : Math.max(1, usual);
  }

  /**
   * The batcher's number for a request's priority.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is negative
   */
  int of(InferenceRequest request) {
    return Math.min(level(request) - 1, Batcher.LOWEST_PRIORITY);
  }

  /**
   * The time-out of a request that names none.
   *
   * @param others that of levels that have no policy of their own
   * @throws InferenceException INVALID_ARGUMENT if its priority is negative
   */
  Optional<Duration> timeout(InferenceRequest request, Optional<Duration> others) {
    if (policies.isEmpty()) {
      return others;
    }
    QueuePolicy policy = policies.get(level(request));
    return policy == null ? others : policy.timeout();
  }

  /** The bounds of levels, by the batcher's numbers. */
  Map<Integer, Integer> limits() {
    Map<Integer, Integer> limits = new HashMap<>();
    for (int level = 1; level <= levels; level++) {
      QueuePolicy policy = policies.get(level);
      Optional<Integer> limit = policy == null ? queueLimit : policy.queueLimit();
      if (limit.isPresent()) {
        limits.put(level - 1, limit.get());
      }
    }
    return limits;
  }
}
