package dev.millrace.batcher.policy;

/**
 * One run that was measured when the model was loaded, while no other ran.
 *
 * @param rowElements elements of each row over all inputs
 * @param rows of the batch; at least 1
 * @param nanos how long it took; at least 1
 */
public record LatencySample(long rowElements, int rows, long nanos) {
  public LatencySample {
    if (rowElements < 0 || rows < 1 || nanos < 1) {
      throw new IllegalArgumentException(
          "a sample needs elements, rows and a time: %d, %d, %d"
              .formatted(rowElements, rows, nanos));
    }
  }
}
