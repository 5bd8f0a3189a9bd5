package dev.millrace.runtime;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a {@code config.pbtxt} says of an input or output.
 *
 * @param place the file and the line
 * @param shape of clients' tensors, the batch dimension included if there is one
 * @param modelShape the same of the model's, where it is another
 */
public record DeclaredTensor(
    String place, String name, DataType dataType, Shape shape, Optional<Shape> modelShape) {

  /** The shape of the model's own tensors. */
  Shape inner() {
    return modelShape.orElse(shape);
  }

  /**
   * A shape of {@code from} as one of {@code to}, which has as many open sizes: they are taken over
   * in order. Empty if {@code actual} is not as {@code from}, or does not have as many elements.
   */
  static Optional<Shape> reshaped(Shape actual, Shape from, Shape to) {
    if (!from.accepts(actual)) {
      return Optional.empty();
    }
    List<Long> sizes = new ArrayList<>();
    for (int i = 0; i < from.rank(); i++) {
      if (from.dim(i) == Shape.ANY) {
        sizes.add(actual.dim(i));
      }
    }
    long[] dims = to.dims();
    int next = 0;
    for (int i = 0; i < dims.length; i++) {
      if (dims[i] == Shape.ANY) {
        if (next == sizes.size()) {
          return Optional.empty();
        }
        dims[i] = sizes.get(next++);
      }
    }
    return Optional.of(Shape.of(dims))
        .filter(shape -> shape.elementCount() == actual.elementCount());
  }

  @Override
  public String toString() {
    return "%s '%s' %s%s".formatted(place, name, dataType, shape);
  }
}
