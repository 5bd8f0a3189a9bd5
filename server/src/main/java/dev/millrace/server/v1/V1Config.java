package dev.millrace.server.v1;

/**
 * How V1 is served.
 *
 * @param batchKeys whether answers of rows carry {@code message} and {@code batchId} too, as those
 *     do that pass KServe's batcher
 */
public record V1Config(boolean batchKeys) {
  /** What holds where nothing is said. */
  public static V1Config defaults() {
    return new V1Config(false);
  }
}
