package dev.millrace.batcher;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What requests have to agree in to share a batch: names, datatypes and inner dimensions of the
 * inputs, in any order, and the requested outputs, in that order. Immutable.
 */
final class BatchKey {
  private static final BatchKey NONE =
      new BatchKey(new String[0], new DataType[0], new Shape[0], List.of());

  private final String[] names;
  private final DataType[] dataTypes;
  private final Shape[] shapes;
  private final List<String> requestedOutputs;
  private final int hash;

  private BatchKey(
      String[] names, DataType[] dataTypes, Shape[] shapes, List<String> requestedOutputs) {
    this.names = names;
    this.dataTypes = dataTypes;
    this.shapes = shapes;
    this.requestedOutputs = requestedOutputs;
    this.hash = hash();
  }

  /** The key of requests that never share a batch. */
  static BatchKey none() {
    return NONE;
  }

  /** The key of a request; every input has at least one dimension. */
  static BatchKey of(TensorMap inputs, List<String> requestedOutputs) {
    int size = inputs.size();
    String[] names = new String[size];
    DataType[] dataTypes = new DataType[size];
    Shape[] shapes = new Shape[size];
    for (int i = 0; i < size; i++) {
      names[i] = inputs.name(i);
      dataTypes[i] = inputs.tensor(i).dataType();
      shapes[i] = inputs.tensor(i).shape();
    }
    return new BatchKey(names, dataTypes, shapes, requestedOutputs);
  }

  /** Whether this is the key of such a request; allocates nothing. */
  boolean matches(TensorMap inputs, List<String> outputs) {
    if (inputs.size() != names.length || !sameOutputs(outputs)) {
      return false;
    }
    for (int i = 0; i < names.length; i++) {
      Tensor tensor = inputs.tensor(i);
      if (!hasInput(i, inputs.name(i), tensor.dataType(), tensor.shape())) {
        return false;
      }
    }
    return true;
  }

  /**
   * What the keys of requests have in common that differ in the length that is filled up only; null
   * if the inputs are none that can be filled up.
   */
  @Nullable BatchKey family(Padding padding) {
    Shape[] family = shapes.clone();
    boolean filled = false;
    for (int i = 0; i < names.length; i++) {
      if (padding.inputs().containsKey(names[i])) {
        if (!dataTypes[i].isFixedSize() || shapes[i].rank() <= padding.dimension()) {
          return null;
        }
        family[i] = shapes[i].withDim(padding.dimension(), 1);
        filled = true;
      }
    }
    return filled ? new BatchKey(names, dataTypes, family, requestedOutputs) : null;
  }

  /** Elements of one row of all inputs together. */
  long rowElements() {
    long sum = 0;
    for (Shape shape : shapes) {
      long elements = 1;
      for (int d = 1; d < shape.rank(); d++) {
        elements *= shape.dim(d);
      }
      sum += elements;
    }
    return sum;
  }

  private boolean sameOutputs(List<String> outputs) {
    if (outputs.size() != requestedOutputs.size()) {
      return false;
    }
    for (int i = 0; i < outputs.size(); i++) {
      if (!outputs.get(i).equals(requestedOutputs.get(i))) {
        return false;
      }
    }
    return true;
  }

  /** Whether there is such an input, most likely at {@code hint}. */
  private boolean hasInput(int hint, String name, DataType dataType, Shape shape) {
    int index = names[hint].equals(name) ? hint : Arrays.asList(names).indexOf(name);
    return index >= 0 && dataTypes[index] == dataType && shapes[index].sameRows(shape);
  }

  private int hash() {
    int sum = requestedOutputs.hashCode();
    for (int i = 0; i < names.length; i++) {
      int input = 31 * names[i].hashCode() + dataTypes[i].name().hashCode();
      for (int d = 1; d < shapes[i].rank(); d++) {
        input = 31 * input + Long.hashCode(shapes[i].dim(d));
      }
      sum += input * 0x9E3779B9;
    }
    return sum;
  }

  @Override
  public boolean equals(Object other) {
    if (this == other) {
      return true;
    }
    if (!(other instanceof BatchKey key)
        || key.hash != hash
        || key.names.length != names.length
        || !sameOutputs(key.requestedOutputs)) {
      return false;
    }
    for (int i = 0; i < names.length; i++) {
      if (!hasInput(i, key.names[i], key.dataTypes[i], key.shapes[i])) {
        return false;
      }
    }
    return true;
  }

  @Override
  public int hashCode() {
    return hash;
  }

  /** As in {@code x=FP32[8,4], ids=INT64[8,16] -> [y]}, with the rows of the first such request. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < names.length; i++) {
      text.append(i == 0 ? "" : ", ")
          .append(names[i])
          .append('=')
          .append(dataTypes[i])
          .append(shapes[i]);
    }
    return text.append(" -> ").append(requestedOutputs).toString();
  }
}
