package dev.millrace.batcher;

import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * Remembers for a minute which inputs made a shared batch fail, so that a client that sends the
 * same again is run alone and costs nobody else a second run. Thread-safe.
 *
 * <p>A fingerprint may fit other inputs too: they are run alone for no reason, and rightly.
 */
final class PoisonMemory {
  private static final long MEMORY_NANOS = Duration.ofMinutes(1).toNanos();
  private static final int MOST_REMEMBERED = 256;

  /** When each fingerprint is forgotten; the oldest first. */
  private final Map<Long, Long> forgottenAt =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Long> eldest) {
          return size() > MOST_REMEMBERED;
        }
      };

  /** So that nobody reads inputs for nothing. */
  private volatile boolean empty = true;

  /** Whether the inputs are known to make a batch fail. */
  boolean contains(TensorMap inputs, long nowNanos) {
    if (empty) {
      return false;
    }
    long fingerprint = fingerprint(inputs);
    synchronized (forgottenAt) {
      forgottenAt.values().removeIf(end -> end - nowNanos <= 0);
      empty = forgottenAt.isEmpty();
      return forgottenAt.containsKey(fingerprint);
    }
  }

  /** The inputs failed in a batch, and alone. */
  void add(TensorMap inputs, long nowNanos) {
    long fingerprint = fingerprint(inputs);
    synchronized (forgottenAt) {
      forgottenAt.remove(fingerprint);
      forgottenAt.put(fingerprint, nowNanos + MEMORY_NANOS);
      empty = false;
    }
  }

  private static long fingerprint(TensorMap inputs) {
    long sum = 0;
    CRC32C crc = new CRC32C();
    for (int i = 0; i < inputs.size(); i++) {
      Tensor tensor = inputs.tensor(i);
      crc.reset();
      crc.update(tensor.data());
      // The order of the inputs does not matter.
      sum += (crc.getValue() << 32 | tensor.shape().hashCode()) * (inputs.name(i).hashCode() | 1L);
    }
    return sum;
  }
}
