package dev.millrace.api;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Tensors by name, in order; the map itself is immutable and owns the tensors.
 *
 * <p>Made for the handful of tensors of one request: looking up is a linear search.
 */
public final class TensorMap implements AutoCloseable {
  private static final TensorMap EMPTY = new TensorMap(new String[0], new Tensor[0]);

  private final String[] names;
  private final Tensor[] tensors;

  private TensorMap(String[] names, Tensor[] tensors) {
    this.names = names;
    this.tensors = tensors;
  }

  public static TensorMap empty() {
    return EMPTY;
  }

  /** A map of one tensor, which it takes over. */
  public static TensorMap of(String name, Tensor tensor) {
    return new TensorMap(new String[] {name}, new Tensor[] {tensor});
  }

  /** A map of two tensors, which it takes over. */
  public static TensorMap of(String name1, Tensor tensor1, String name2, Tensor tensor2) {
    return builder().put(name1, tensor1).put(name2, tensor2).build();
  }

  /** A map of other tensors by the same names, in the same order, which it takes over. */
  public TensorMap with(Tensor... others) {
    if (others.length != tensors.length) {
      throw new IllegalArgumentException(
          "%d tensors for %d names".formatted(others.length, tensors.length));
    }
    return new TensorMap(names, others.clone());
  }

  public static Builder builder() {
    return new Builder();
  }

  public int size() {
    return names.length;
  }

  public boolean isEmpty() {
    return names.length == 0;
  }

  /** The name at {@code index}, counted from 0. */
  public String name(int index) {
    return names[index];
  }

  /** The tensor at {@code index}, counted from 0; still owned by this map. */
  public Tensor tensor(int index) {
    return tensors[index];
  }

  /** The tensor of that name, still owned by this map; null if there is none. */
  public @Nullable Tensor get(String name) {
    for (int i = 0; i < names.length; i++) {
      if (names[i].equals(name)) {
        return tensors[i];
      }
    }
    return null;
  }

  public List<String> names() {
    return List.of(names);
  }

  public void forEach(BiConsumer<String, Tensor> action) {
    for (int i = 0; i < names.length; i++) {
      action.accept(names[i], tensors[i]);
    }
  }

  /** Bytes of all tensors together. */
  public long byteSize() {
    long sum = 0;
    for (Tensor tensor : tensors) {
      sum += tensor.byteSize();
    }
    return sum;
  }

  /** Closes every tensor. */
  @Override
  public void close() {
    for (Tensor tensor : tensors) {
      tensor.close();
    }
  }

  /** As in {@code {x=FP32[1,4]}}; no values. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("{");
    for (int i = 0; i < names.length; i++) {
      text.append(i == 0 ? "" : ", ").append(names[i]).append('=').append(tensors[i]);
    }
    return text.append('}').toString();
  }

  /**
   * Collects tensors; owns them until {@link #build}. Closing it afterwards does nothing, so it
   * fits a try-with-resources that must not leak when something fails half way.
   */
  public static final class Builder implements AutoCloseable {
    private String[] names = EMPTY.names;
    private Tensor[] tensors = EMPTY.tensors;
    private int size;

    private Builder() {}

    /**
     * Adds a tensor and takes it over.
     *
     * @throws IllegalArgumentException if the name is taken; the tensor stays the caller's
     */
    public Builder put(String name, Tensor tensor) {
      if (contains(name)) {
        throw new IllegalArgumentException("tensor '" + name + "' is there already");
      }
      if (size == names.length) {
        int length = Math.max(1, 2 * size);
        names = Arrays.copyOf(names, length);
        tensors = Arrays.copyOf(tensors, length);
      }
      names[size] = requireNonNull(name);
      tensors[size++] = requireNonNull(tensor);
      return this;
    }

    public boolean contains(String name) {
      for (int i = 0; i < size; i++) {
        if (names[i].equals(name)) {
          return true;
        }
      }
      return false;
    }

    public int size() {
      return size;
    }

    /** The map of what was put, which takes it over. */
    public TensorMap build() {
      TensorMap map = EMPTY;
      if (size > 0) {
        map =
            size == names.length
                ? new TensorMap(names, tensors)
                : new TensorMap(Arrays.copyOf(names, size), Arrays.copyOf(tensors, size));
      }
      clear();
      return map;
    }

    /** Closes what was put and not built. */
    @Override
    public void close() {
      for (int i = 0; i < size; i++) {
        tensors[i].close();
      }
      clear();
    }

    private void clear() {
      names = EMPTY.names;
      tensors = EMPTY.tensors;
      size = 0;
    }
  }
}
