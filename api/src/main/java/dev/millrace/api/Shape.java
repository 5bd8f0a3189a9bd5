package dev.millrace.api;

import java.util.Arrays;

/**
 * The dimensions of a tensor, immutable. A shape of rank 0 is a scalar; a dimension of 0 is legal
 * and makes a tensor without elements.
 *
 * <p>{@link #ANY}, -1, stands for a dimension that is not known yet; it occurs only in a {@link
 * TensorSpec}. A shape without it is <em>concrete</em>, and its element count is known to fit a
 * long.
 */
public final class Shape {
  /** A dimension of a spec that takes any size. */
  public static final long ANY = -1;

  /** Most dimensions that a shape may have; engines stop earlier. */
  public static final int MAX_RANK = 64;

  /**
   * The shape of a spec that takes any rank; it accepts every shape. Where dimensions have to be
   * told, it has one of any size.
   */
  public static final Shape ANY_RANK = new Shape(new long[] {ANY}, false);

  private static final Shape SCALAR = new Shape(new long[0], true);

  private final long[] dims;

  private final boolean hasRank;

  /** Product of the dimensions, or -1 if one of them is {@link #ANY}. */
  private final long elementCount;

  private Shape(long[] dims, boolean hasRank) {
    this.dims = dims;
    this.hasRank = hasRank;
    this.elementCount = count(dims);
  }

  /**
   * A shape of these dimensions.
   *
   * @throws InferenceException INVALID_ARGUMENT if a dimension is below -1, there are more than
   *     {@link #MAX_RANK}, or their product does not fit a long
   */
  public static Shape of(long... dims) {
    return dims.length == 0 ? SCALAR : new Shape(dims.clone(), true);
  }

  /** The shape of a single value, rank 0. */
  public static Shape scalar() {
    return SCALAR;
  }

  private static long count(long[] dims) {
    if (dims.length > MAX_RANK) {
      throw InferenceException.invalidArgument(
          "a shape has at most %d dimensions, got %d".formatted(MAX_RANK, dims.length));
    }
    boolean dynamic = false;
    boolean empty = false;
    for (long dim : dims) {
      if (dim < ANY) {
        throw InferenceException.invalidArgument(
            "shape %s has a negative dimension".formatted(Arrays.toString(dims)));
      }
      dynamic |= dim == ANY;
      empty |= dim == 0;
    }
    if (dynamic) {
      return -1;
    }
    if (empty) {
      return 0;
    }
    long product = 1;
    for (long dim : dims) {
      long high = Math.multiplyHigh(product, dim);
      product *= dim;
      if (high != 0 || product < 0) {
        throw InferenceException.invalidArgument(
            "shape %s has more elements than can be addressed".formatted(Arrays.toString(dims)));
      }
    }
    return product;
  }

  /** Whether this shape says how many dimensions there are; false for {@link #ANY_RANK} only. */
  public boolean hasRank() {
    return hasRank;
  }

  /** Number of dimensions. */
  public int rank() {
    return dims.length;
  }

  /** The dimension at {@code index}, counted from 0. */
  public long dim(int index) {
    return dims[index];
  }

  /** A copy of the dimensions. */
  public long[] dims() {
    return dims.clone();
  }

  /** Whether no dimension is {@link #ANY}. */
  public boolean isConcrete() {
    return elementCount >= 0;
  }

  /**
   * Number of elements; 1 for a scalar.
   *
   * @throws IllegalStateException if the shape is not concrete
   */
  public long elementCount() {
    if (elementCount < 0) {
      throw new IllegalStateException("shape " + this + " is not concrete");
    }
    return elementCount;
  }

  /**
   * Whether {@code concrete} has this rank, if there is one, and equals this shape where it is not
   * {@link #ANY}.
   */
  public boolean accepts(Shape concrete) {
    if (!hasRank) {
      return true;
    }
    if (concrete.dims.length != dims.length) {
      return false;
    }
    for (int i = 0; i < dims.length; i++) {
      if (dims[i] != ANY && dims[i] != concrete.dims[i]) {
        return false;
      }
    }
    return true;
  }

  /** This shape with another dimension at {@code index}. */
  public Shape withDim(int index, long dim) {
    long[] changed = dims.clone();
    changed[index] = dim;
    return new Shape(changed, true);
  }

  /** Whether both have the same rank and agree in all dimensions but the first. */
  public boolean sameRows(Shape other) {
    return dims.length > 0
        && dims.length == other.dims.length
        && Arrays.equals(dims, 1, dims.length, other.dims, 1, dims.length);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Shape shape
        && hasRank == shape.hasRank
        && Arrays.equals(dims, shape.dims);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(dims);
  }

  /** The form of the protocols, as in {@code [-1,16]}; {@code [...]} for any rank. */
  @Override
  public String toString() {
    if (!hasRank) {
      return "[...]";
    }
    StringBuilder text = new StringBuilder("[");
    for (int i = 0; i < dims.length; i++) {
      text.append(i == 0 ? "" : ",").append(dims[i]);
    }
    return text.append(']').toString();
  }
}
