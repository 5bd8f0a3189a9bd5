package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorSpec;
import java.util.Arrays;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Collects values of one input: nested lists, whose nesting is their shape. Values that are to be
 * one tensor have the same shape.
 */
final class TensorCollector extends ElementCollector {
  private static final int NONE = -1;

  private static final int MAX_RANK = Shape.MAX_RANK - 1;

  /** The first value's dimensions, and how many they are. */
  private long[] dims = new long[4];

  private int rank;

  /** Elements of the first value. */
  private long valueSize;

  /** Those of the value that is being read, as far as they are known. */
  private long[] ownDims = new long[4];

  private int ownRank;

  TensorCollector(TensorSpec spec, long sizeHint) {
    super(spec, sizeHint);
  }

  /**
   * Adds the value at which the parser is; leaves it at the value's end.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is ragged, of another shape than the first
   *     value, or of another type than the model declares
   */
  void add(JsonParser parser, JsonToken token) {
    begin();
    long before = count;
    read(parser, token, 0);
    end(count - before);
  }

  /** As {@link #add}, for an object of which the parser is at the first member. */
  void addBase64Value(JsonParser parser, String member) {
    begin();
    ownRank = 0;
    addBase64(parser, member);
    end(1);
  }

  private void begin() {
    ownRank = NONE;
    Arrays.fill(ownDims, NONE);
  }

  private void end(long size) {
    if (values == 0) {
      long[] first = dims;
      dims = ownDims;
      ownDims = first;
      rank = ownRank;
      valueSize = size;
    } else if (size != valueSize) {
      throw InferenceException.invalidArgument(
          "Expecting tensor size: %d but got: %d".formatted(valueSize, size));
    } else if (ownRank != rank || !Arrays.equals(dims, 0, rank, ownDims, 0, rank)) {
      throw InferenceException.invalidArgument(
          "Expecting shape %s but got: %s".formatted(shape(dims, rank), shape(ownDims, ownRank)));
    }
    values++;
  }

  private void read(JsonParser parser, JsonToken token, int level) {
    if (token != JsonToken.START_ARRAY) {
      readLeaf(parser, token, level);
      return;
    }
    if (ownRank != NONE && level >= ownRank) {
      throw InferenceException.invalidArgument(
          "Encountered list at unexpected level: %d expected < %d".formatted(level, ownRank));
    }
    if (level == MAX_RANK) {
      throw InferenceException.invalidArgument(
          "Encountered list at unexpected level: %d, a tensor has at most %d dimensions"
              .formatted(level, Shape.MAX_RANK));
    }
    long size = 0;
    for (JsonToken next = V1Json.next(parser);
        next != JsonToken.END_ARRAY;
        next = V1Json.next(parser)) {
      read(parser, next, level + 1);
      size++;
    }
    if (level >= ownDims.length) {
      int length = ownDims.length;
      ownDims = Arrays.copyOf(ownDims, 2 * level);
      Arrays.fill(ownDims, length, ownDims.length, NONE);
    }
    if (ownRank == NONE) { // an empty list: there is nothing to see further in
      ownRank = level + 1;
    }
    if (ownDims[level] == NONE) {
      ownDims[level] = size;
    } else if (ownDims[level] != size) {
      throw InferenceException.invalidArgument(
          "Encountered list at unexpected size: %d at level: %d expected size: %d"
              .formatted(size, level, ownDims[level]));
    }
  }

  private void readLeaf(JsonParser parser, JsonToken token, int level) {
    if (ownRank == NONE) {
      ownRank = level;
    } else if (ownRank != level) {
      throw V1Errors.wrongValue(
          parser,
          token,
          "found at incorrect level: %d in the JSON DOM. Expected at level: %d"
              .formatted(level + 1, ownRank));
    }
    addElement(parser, token);
  }

  private static Shape shape(long[] dims, int rank) {
    return Shape.of(Arrays.copyOf(dims, rank));
  }

  /** The only value as a tensor, which takes the memory over. */
  Tensor toTensor() {
    return elements.toTensor(asDeclared(shape(dims, rank)));
  }

  /** The values one upon the other as a tensor, which takes the memory over. */
  Tensor stacked() {
    long[] stacked = new long[rank + 1];
    stacked[0] = values;
    System.arraycopy(dims, 0, stacked, 1, rank);
    return elements.toTensor(asDeclared(Shape.of(stacked)));
  }

  /**
   * The shape, with a last dimension of 1 if the model declares that and only that is missing: the
   * column {@code [-1,1]} of a table is written as plain values by whoever does not know of it.
   */
  private Shape asDeclared(Shape read) {
    Shape declared = spec.shape();
    if (declared.hasRank()
        && declared.rank() == read.rank() + 1
        && declared.dim(read.rank()) == 1) {
      long[] column = Arrays.copyOf(read.dims(), declared.rank());
      column[read.rank()] = 1;
      Shape completed = Shape.of(column);
      return declared.accepts(completed) ? completed : read;
    }
    return read;
  }
}
