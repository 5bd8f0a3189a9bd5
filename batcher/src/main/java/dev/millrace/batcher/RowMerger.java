package dev.millrace.batcher;

import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Makes a batch of the inputs of several requests, and the answers to each from its outputs. Used
 * by one runner.
 *
 * <p>Where the model has sizes that it likes, a batch is filled up to the next one with copies of
 * its last row, which is a row that the model can take; what comes out for them is dropped. Where
 * requests of different lengths share a batch, see {@link Padding}.
 */
final class RowMerger implements AutoCloseable {
  private final BatcherConfig config;
  private final BatchBuffers buffers = new BatchBuffers();

  RowMerger(BatcherConfig config) {
    this.config = config;
  }

  /** Rows that the model is given for that many. */
  int paddedRows(int rows) {
    for (int size : config.batchSizes()) {
      if (size >= rows) {
        return size;
      }
    }
    return rows;
  }

  /** Whether the requests have to be filled up to one length. */
  private boolean differInLength(List<Part> batch) {
    BatchKey first = batch.getFirst().request.key;
    for (Part part : batch) {
      if (!part.request.key.equals(first)) {
        return true;
      }
    }
    return false;
  }

  /**
   * The inputs of the batch. The caller closes them, if they are its own, and uses them before the
   * next batch is merged.
   */
  TensorMap merge(List<Part> batch, int rows) {
    int padRows = paddedRows(rows) - rows;
    List<TensorMap> inputs = new ArrayList<>(batch.size());
    for (Part part : batch) {
      inputs.add(part.inputs());
    }
    Padding padding = config.padding();
    if (padding == null || !differInLength(batch)) {
      return Rows.concat(inputs, padRows, buffers);
    }
    List<TensorMap> filled = new ArrayList<>(inputs.size());
    try {
      long length = 0;
      for (TensorMap map : inputs) {
        length = Math.max(length, lengthOf(map, padding));
      }
      for (TensorMap map : inputs) {
        filled.add(fill(map, padding, length));
      }
      return Rows.concat(filled, padRows, buffers);
    } finally {
      filled.forEach(TensorMap::close);
    }
  }

  private static long lengthOf(TensorMap inputs, Padding padding) {
    for (int i = 0; i < inputs.size(); i++) {
      if (padding.inputs().containsKey(inputs.name(i))) {
        return inputs.tensor(i).shape().dim(padding.dimension());
      }
    }
    throw new IllegalStateException("no input to fill up in " + inputs);
  }

  /** The inputs at another length; copies, or views of what needs none. */
  private static TensorMap fill(TensorMap inputs, Padding padding, long length) {
    try (TensorMap.Builder filled = TensorMap.builder()) {
      for (int i = 0; i < inputs.size(); i++) {
        Tensor tensor = inputs.tensor(i);
        Double value = padding.inputs().get(inputs.name(i));
        filled.put(
            inputs.name(i),
            value == null || tensor.shape().dim(padding.dimension()) == length
                ? Tensor.wrap(tensor.dataType(), tensor.shape(), tensor.data())
                : Lengths.fill(tensor, padding.dimension(), length, value));
      }
      return filled.build();
    }
  }

  /** Why these outputs cannot be split again; null if they can. */
  @Nullable String whyNotSplittable(TensorMap outputs, int rows) {
    return Rows.whyNotSplittable(outputs, paddedRows(rows));
  }

  /** Each part's share of the outputs, which this takes over. */
  List<TensorMap> split(List<Part> batch, TensorMap outputs) {
    int[] shares = new int[batch.size()];
    for (int i = 0; i < shares.length; i++) {
      shares[i] = batch.get(i).rows;
    }
    List<TensorMap> results = Rows.split(outputs, shares);
    Padding padding = config.padding();
    if (padding == null || !differInLength(batch)) {
      return results;
    }
    int done = 0;
    try {
      for (; done < shares.length; done++) {
        results.set(done, cut(results.get(done), padding, batch.get(done)));
      }
      return results;
    } catch (RuntimeException | Error e) {
      results.forEach(TensorMap::close);
      throw e;
    }
  }

  /** The outputs at the request's own length; takes them over unless it throws. */
  private static TensorMap cut(TensorMap outputs, Padding padding, Part part) {
    long length = lengthOf(part.request.inputs, padding);
    try (TensorMap.Builder shorter = TensorMap.builder()) {
      for (int i = 0; i < outputs.size(); i++) {
        Tensor tensor = outputs.tensor(i);
        Integer dimension = padding.outputs().get(outputs.name(i));
        shorter.put(
            outputs.name(i),
            dimension == null
                ? Tensor.copyOf(tensor.dataType(), tensor.shape(), tensor.data())
                : Lengths.cut(tensor, dimension, length));
      }
      TensorMap result = shorter.build();
      outputs.close();
      return result;
    }
  }

  @Override
  public void close() {
    buffers.close();
  }
}
