package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The collectors of a model's inputs; one is made when the first value for its input comes. */
final class InputCollectors<C extends ElementCollector> implements AutoCloseable {
  /** Makes a collector. */
  interface Factory<C> {
    C create(TensorSpec spec, long sizeHint);
  }

  private final List<TensorSpec> specs;
  private final Factory<C> factory;
  private final long sizeHint;
  private final List<@Nullable C> collectors;

  /**
   * @param specs what the model declares
   * @param size bytes of the request
   */
  InputCollectors(List<TensorSpec> specs, Factory<C> factory, long size) {
    this.specs = specs;
    this.factory = factory;
    this.sizeHint = size / Math.max(1, specs.size());
    this.collectors = new ArrayList<>(specs.size());
    for (int i = 0; i < specs.size(); i++) {
      collectors.add(null);
    }
  }

  /** The one for that input; null if the model has none of that name. */
  @Nullable C find(String name) {
    for (int i = 0; i < specs.size(); i++) {
      if (specs.get(i).name().equals(name)) {
        return at(i);
      }
    }
    return null;
  }

  /** The one for the only input that a request has to have; null if that are several. */
  @Nullable C sole() {
    if (specs.size() == 1) {
      return at(0);
    }
    int sole = -1;
    for (int i = 0; i < specs.size(); i++) {
      if (!specs.get(i).optional()) {
        if (sole >= 0) {
          return null;
        }
        sole = i;
      }
    }
    return sole < 0 ? null : at(sole);
  }

  private C at(int index) {
    C collector = collectors.get(index);
    if (collector == null) {
      collector = factory.create(specs.get(index), sizeHint);
      collectors.set(index, collector);
    }
    return collector;
  }

  /**
   * The first input that has not so many values, though a request has to have it or some came for
   * it; null if there is none.
   */
  @Nullable String incomplete(long values) {
    for (int i = 0; i < specs.size(); i++) {
      C collector = collectors.get(i);
      if (collector == null ? !specs.get(i).optional() : collector.values() != values) {
        return specs.get(i).name();
      }
    }
    return null;
  }

  /** The names of all inputs, for people. */
  String names() {
    return specs.stream().map(TensorSpec::name).sorted().collect(Collectors.joining(","));
  }

  /**
   * The tensors of those that are there.
   *
   * @throws InferenceException INVALID_ARGUMENT as {@code finish} does
   */
  TensorMap toTensors(Function<C, Tensor> finish) {
    try (TensorMap.Builder tensors = TensorMap.builder()) {
      for (int i = 0; i < collectors.size(); i++) {
        C collector = collectors.get(i);
        if (collector != null) {
          tensors.put(specs.get(i).name(), finish.apply(collector));
          collectors.set(i, null);
        }
      }
      return tensors.build();
    }
  }

  /** Frees what was collected and not made a tensor. */
  @Override
  public void close() {
    for (C collector : collectors) {
      if (collector != null) {
        collector.close();
      }
    }
  }
}
