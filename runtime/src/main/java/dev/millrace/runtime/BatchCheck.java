package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds out whether requests for a model may be merged: whether dimension 0 of every output is the
 * rows, and a row gives the same alone as beside others.
 *
 * <p>Two rows of different made-up values run alone and together, then three; whole numbers, truth
 * values and texts must be the same, floating point as {@link RowDifference} measures it:
 *
 * <ul>
 *   <li>up to {@value #ROUNDING}, as kernels that add in another order give, is the same;
 *   <li>from {@value #DEPENDENT} on, the rows mix. A sum, maximum or softmax over the batch differs
 *       by half of the values and more, and a normalisation by the batch's own mean and variance
 *       makes of every lone row the same, so that nothing of it is left to compare.
 *   <li>Between the two lie models that quantise while they run: the scale comes from the largest
 *       value of the whole batch, so that neighbours show in the first or second digit. Who serves
 *       such a model has accepted an error of this kind. It is told from a small share of the
 *       neighbours' values by a batch of the same row twice, whose scale is that of the row alone:
 *       there it has to agree to {@value #TWIN}.
 * </ul>
 *
 * <p>A model that differs from itself, run twice on the same row, shows nothing. A run that fails
 * with several rows and does not with one is a reason not to merge; any other failure leaves the
 * question open, and then requests are merged, as the model declares.
 *
 * <p>Texts are compared twice, the second time with more words from row to row: what a model makes
 * of them may be as wide as the longest text of the batch.
 */
final class BatchCheck {
  private static final Logger LOG = LoggerFactory.getLogger(BatchCheck.class);

  static final double ROUNDING = 0.01;
  static final double TWIN = 0.05;
  static final double DEPENDENT = 0.4;

  private final ModelMetadata metadata;
  private final SyntheticInputs inputs;
  private final Predictor predictor;
  private final Ticker ticker;
  private final long endNanos;

  private BatchCheck(
      ModelMetadata metadata,
      SyntheticInputs inputs,
      Predictor predictor,
      Ticker ticker,
      long endNanos) {
    this.metadata = metadata;
    this.inputs = inputs;
    this.predictor = predictor;
    this.ticker = ticker;
    this.endNanos = endNanos;
  }

  /**
   * What came of it.
   *
   * @param merge whether requests may share a batch
   * @param note why, for people
   */
  record Verdict(boolean merge, String note) {
    private static Verdict open(String why) {
      return new Verdict(true, "on: not verified: " + why);
    }

    private static Verdict off(String why) {
      return new Verdict(false, "off: " + why);
    }
  }

  /**
   * Runs the predictor, which stays the caller's, on 1, 2 and 3 rows. Does not throw.
   *
   * @param endNanos when to be content with the two rows
   */
  static Verdict run(
      ModelMetadata metadata,
      SyntheticInputs inputs,
      Predictor predictor,
      Ticker ticker,
      long endNanos) {
    if (!inputs.canBatch()) {
      return Verdict.open("dimension 0 of an input is fixed");
    }
    try {
      Verdict verdict = new BatchCheck(metadata, inputs, predictor, ticker, endNanos).verdict();
      return verdict.merge() && inputs.hasTexts()
          ? new BatchCheck(metadata, inputs.withWords(), predictor, ticker, endNanos)
              .confirm(verdict)
          : verdict;
    } catch (RuntimeException e) {
      LOG.debug("{}: verifying that it can be batched failed", metadata.id(), e);
      return Verdict.open(String.valueOf(InferenceException.of(e).getMessage()));
    }
  }

  /** What other inputs have shown, unless these show that rows mix. */
  private Verdict confirm(Verdict others) {
    try {
      Verdict own = verdict();
      return own.merge() ? others : own;
    } catch (RuntimeException e) { // not a model for such texts
      return others;
    }
  }

  private Verdict verdict() {
    List<TensorMap> alone = new ArrayList<>();
    try {
      for (int row = 0; row < 2; row++) {
        alone.add(predict(row));
      }
      double difference = 0;
      for (int count = 2; count <= Math.min(3, metadata.maxBatchSize()); count++) {
        if (count == 3) {
          if (ticker.nanos() - endNanos > 0) {
            break;
          }
          alone.add(predict(2));
        }
        TensorMap together;
        try {
          together = predict(IntStream.range(0, count).toArray());
        } catch (InferenceException e) {
          return failedTogether(count, e);
        }
        try (together) {
          RowDifference result = RowDifference.of(alone, together);
          if (result.isBeyond(DEPENDENT)) {
            return result.areRows() && differsFromItself(alone.getFirst())
                ? Verdict.open("its results are not the same twice")
                : Verdict.off(result.reason());
          }
          difference = Math.max(difference, result.largest());
        }
      }
      if (difference <= ROUNDING) {
        return new Verdict(true, "on: verified");
      }
      return twins(alone.getFirst(), difference);
    } finally {
      alone.forEach(TensorMap::close);
    }
  }

  private Verdict twins(TensorMap alone, double difference) {
    if (differsFromItself(alone)) {
      return Verdict.open("its results are not the same twice");
    }
    try (TensorMap together = predict(0, 0)) {
      RowDifference result = RowDifference.of(List.of(alone, alone), together);
      return result.isBeyond(TWIN)
          ? Verdict.off(result.reason())
          : new Verdict(
              true,
              "on: verified; results vary with the batch by %.0f %%, as when a model quantises"
                      .formatted(100 * difference)
                  + " while it runs");
    }
  }

  private boolean differsFromItself(TensorMap alone) {
    try (TensorMap again = predict(0)) {
      return RowDifference.of(List.of(alone), again).isBeyond(ROUNDING);
    }
  }

  private static Verdict failedTogether(int rows, InferenceException failure) {
    return switch (failure.code()) {
      case INVALID_ARGUMENT, INTERNAL, FAILED_PRECONDITION, UNIMPLEMENTED ->
          Verdict.off("it takes 1 row and fails with %d: %s".formatted(rows, failure.getMessage()));
      case NOT_FOUND, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE ->
          Verdict.open(String.valueOf(failure.getMessage()));
    };
  }

  private TensorMap predict(int... rows) {
    try (TensorMap made = inputs.rows(rows)) {
      return predictor.predict(made, List.of());
    } catch (RuntimeException e) {
      throw InferenceException.of(e);
    }
  }
}
