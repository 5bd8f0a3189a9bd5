package dev.millrace.batcher;

/**
 * The bounds of a batcher.
 *
 * @param maxBatchSize most rows (dimension 0) that the model sees at once; 0 if requests are never
 *     merged nor split, so that inputs need no common first dimension
 * @param queueLimit most requests that wait, those that run not counted
 * @param queueBytes most bytes of inputs that wait; a request beyond it is still accepted while
 *     nothing else waits
 */
public record BatcherConfig(int maxBatchSize, int queueLimit, long queueBytes) {
  public BatcherConfig {
    if (maxBatchSize < 0) {
      throw new IllegalArgumentException("maxBatchSize is negative: " + maxBatchSize);
    }
    if (queueLimit < 1) {
      throw new IllegalArgumentException("queueLimit is below 1: " + queueLimit);
    }
    if (queueBytes < 1) {
      throw new IllegalArgumentException("queueBytes is below 1: " + queueBytes);
    }
  }
}
