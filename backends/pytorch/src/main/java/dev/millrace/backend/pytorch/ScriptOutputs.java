package dev.millrace.backend.pytorch;

import ai.djl.pytorch.jni.IValue;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * Names what a script returns: a tensor, or tuples, lists and dicts of tensors in one another.
 *
 * <p>Values of a dict are called by their keys, in alphabetical order, because the bridge loses
 * theirs. All else is numbered in its order, {@code OUTPUT__0} and so on, or called what the
 * configuration declares for that number. {@code None} has a number and is left out.
 */
final class ScriptOutputs {
  private static final String POSITIONAL = "OUTPUT";

  private final List<TensorSpec> declared;
  private final int[] positions;
  private final boolean shared;

  /**
   * The outputs of a script.
   *
   * @param declared by the configuration; others are then not given. May be empty.
   * @param shared whether tensors may be over the engine's memory
   */
  ScriptOutputs(List<TensorSpec> declared, boolean shared) {
    this.declared = List.copyOf(declared);
    this.positions = NamePositions.of(declared, List.of());
    this.shared = shared;
  }

  /**
   * The tensors in the result of a run.
   *
   * @param result stays the caller's
   * @param inputs of the run
   * @param requested names of those wanted; empty for all
   */
  TensorMap take(IValue result, TensorMap inputs, List<String> requested) {
    Walk walk = new Walk(inputs, requested);
    try {
      walk.visit(result, POSITIONAL, true);
      return walk.ordered();
    } finally {
      walk.found.values().forEach(Tensor::close);
    }
  }

  /** One result being taken apart. */
  private final class Walk {
    private final TensorMap inputs;
    private final List<String> requested;

    /** What was found and is wanted; emptied when it is handed on. */
    final Map<String, Tensor> found = new LinkedHashMap<>();

    private int next;

    Walk(TensorMap inputs, List<String> requested) {
      this.inputs = inputs;
      this.requested = requested;
    }

    /**
     * Takes a value.
     *
     * @param name of the value if it is a tensor of a dict, else what numbered ones begin with
     */
    void visit(IValue value, String name, boolean numbered) {
      if (value.isTensor()) {
        put(numbered ? numberedName(name, next++) : name, value);
      } else if (value.isMap()) {
        visitMap(value, name, numbered);
      } else if (value.isTuple() || value.isList()) {
        IValue[] elements = value.isTuple() ? value.toIValueTuple() : value.toIValueArray();
        int before = next;
        next = numbered ? next : 0;
        try {
          for (IValue element : elements) {
            visit(element, name, true);
          }
        } finally {
          close(List.of(elements));
        }
        next = numbered ? next : before;
      } else if (value.getType().equals("NoneType")) {
        next += numbered ? 1 : 0;
      } else {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "the script returns a value of type %s, and only tensors can be sent"
                .formatted(value.getType()));
      }
    }

    private void visitMap(IValue value, String prefix, boolean numbered) {
      if (!value.getType().startsWith("Dict(str,")) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "the script returns a %s, and only texts can be names of outputs"
                .formatted(value.getType()));
      }
      Map<String, IValue> entries = value.toIValueMap();
      try {
        new TreeMap<>(entries)
            .forEach((key, entry) -> visit(entry, numbered ? key : prefix + "__" + key, false));
      } finally {
        close(entries.values());
      }
    }

    private void put(String name, IValue value) {
      if (!isWanted(name)) {
        return;
      }
      if (found.containsKey(name)) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "the script returns two outputs that are called '%s'".formatted(name));
      }
      found.put(name, PyTorchTensors.fromEngine(name, value, shared, inputs));
    }

    private boolean isWanted(String name) {
      return requested.isEmpty()
          ? declared.isEmpty() || isDeclared(name)
          : requested.contains(name);
    }

    /** All that was found, in the order asked for, which then owns it. */
    TensorMap ordered() {
      List<String> names =
          !requested.isEmpty()
              ? requested
              : declared.isEmpty()
                  ? List.copyOf(found.keySet())
                  : declared.stream().map(TensorSpec::name).toList();
      for (String name : names) {
        if (!found.containsKey(name)) {
          throw missing(name);
        }
      }
      declared.forEach(this::check);
      try (TensorMap.Builder outputs = TensorMap.builder()) {
        for (String name : names) {
          if (!outputs.contains(name)) {
            Tensor tensor = found.remove(name);
            if (tensor != null) {
              outputs.put(name, tensor);
            }
          }
        }
        return outputs.build();
      }
    }

    private InferenceException missing(String name) {
      return isDeclared(name)
          ? new InferenceException(
              ErrorCode.FAILED_PRECONDITION,
              "output '%s' is declared, but the script does not return it".formatted(name))
          : InferenceException.invalidArgument("unexpected inference output '%s'".formatted(name));
    }

    private void check(TensorSpec spec) {
      Tensor tensor = found.get(spec.name());
      if (tensor != null
          && (tensor.dataType() != spec.dataType() || !spec.shape().accepts(tensor.shape()))) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "output '%s' is declared %s%s, but the script returns %s"
                .formatted(spec.name(), spec.dataType(), spec.shape(), tensor));
      }
    }
  }

  private boolean isDeclared(String name) {
    return declared.stream().anyMatch(spec -> spec.name().equals(name));
  }

  private String numberedName(String prefix, int number) {
    if (prefix.equals(POSITIONAL)) {
      return IntStream.range(0, positions.length)
          .filter(i -> positions[i] == number)
          .mapToObj(i -> declared.get(i).name())
          .findFirst()
          .orElse(POSITIONAL + "__" + number);
    }
    return prefix + "__" + number;
  }

  private static void close(Iterable<IValue> values) {
    values.forEach(IValue::close);
  }
}
