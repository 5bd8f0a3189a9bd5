package dev.millrace.runtime;

import dev.millrace.api.ModelId;
import java.util.List;

/**
 * What one version has done since the server started. Every number only grows, over reloads of the
 * version as well, so that the difference of two snapshots is what happened in between.
 *
 * @param lastInferenceMillis when the last run ended, in milliseconds since 1970; 0 if none has
 * @param rows rows that were answered with outputs; a request that has no rows counts as one
 * @param runs runs of the model for them
 * @param success requests answered with outputs, from their arrival to their answer
 * @param failure requests answered with an error
 * @param queue requests that ran, from being queued to being taken by an instance
 * @param computeInput the same: putting their inputs together with those of others
 * @param computeInfer the same: inside the model, each request counting the whole run
 * @param computeOutput the same: parting the outputs
 * @param batches the runs by how many rows they had, ascending
 */
public record ModelStatistics(
    ModelId id,
    long lastInferenceMillis,
    long rows,
    long runs,
    CountedTime success,
    CountedTime failure,
    CountedTime queue,
    CountedTime computeInput,
    CountedTime computeInfer,
    CountedTime computeOutput,
    List<OfBatches> batches) {
  public ModelStatistics {
    batches = List.copyOf(batches);
  }

  /**
   * The runs of one size.
   *
   * @param rows of each
   * @param input putting the inputs together
   * @param infer inside the model
   * @param output parting the outputs
   */
  public record OfBatches(int rows, CountedTime input, CountedTime infer, CountedTime output) {}
}
