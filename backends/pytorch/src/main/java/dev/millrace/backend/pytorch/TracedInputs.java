package dev.millrace.backend.pytorch;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a script was traced with. {@code torch.jit.trace} leaves the datatypes and shapes of its
 * example inputs in the archive, in {@code traced_inputs.pkl}: a map from methods to lists of
 * tensors. A tensor is a call of {@code _rebuild_tensor_v2} with its storage, whose class names the
 * type, an offset, and its sizes.
 */
final class TracedInputs {
  private static final Map<String, DataType> STORAGES =
      Map.of(
          "torch.BoolStorage", DataType.BOOL,
          "torch.ByteStorage", DataType.UINT8,
          "torch.CharStorage", DataType.INT8,
          "torch.ShortStorage", DataType.INT16,
          "torch.IntStorage", DataType.INT32,
          "torch.LongStorage", DataType.INT64,
          "torch.HalfStorage", DataType.FP16,
          "torch.BFloat16Storage", DataType.BF16,
          "torch.FloatStorage", DataType.FP32,
          "torch.DoubleStorage", DataType.FP64);

  private TracedInputs() {}

  /**
   * Declarations of the arguments as they were traced, the first dimension open.
   *
   * @param pickle the bytes of {@code traced_inputs.pkl}
   * @param arguments of {@code forward}
   * @return empty if the bytes do not tell all of them
   */
  static List<TensorSpec> read(byte[] pickle, List<Argument> arguments) {
    Optional<Object> inputs =
        Pickle.read(pickle)
            .map(TracedInputs::untagged)
            .map(methods -> methods instanceof Map<?, ?> map ? map.get("forward") : null)
            .map(TracedInputs::untagged);
    if (inputs.isEmpty()
        || !(inputs.get() instanceof List<?> tensors)
        || tensors.size() != arguments.size()) {
      return List.of();
    }
    List<TensorSpec> specs = new ArrayList<>();
    for (int i = 0; i < tensors.size(); i++) {
      Optional<TensorSpec> spec = spec(arguments.get(i).name(), tensors.get(i));
      if (spec.isEmpty()) {
        return List.of();
      }
      specs.add(spec.get());
    }
    return specs;
  }

  /** A value without the tag that says what its type is in a script. */
  private static Object untagged(Object value) {
    return value instanceof Pickle.Call(String name, List<?> arguments)
            && name.equals("torch.jit._pickle.restore_type_tag")
            && !arguments.isEmpty()
        ? arguments.getFirst()
        : value;
  }

  private static Optional<TensorSpec> spec(String name, Object tensor) {
    if (tensor instanceof Pickle.Call(String function, List<?> arguments)
        && function.equals("torch._utils._rebuild_tensor_v2")
        && arguments.size() > 2
        && arguments.get(0) instanceof Pickle.Call(String _, List<?> storage)
        && storage.size() > 1
        && storage.get(1) instanceof Pickle.Global(String type)
        && arguments.get(2) instanceof List<?> sizes) {
      DataType dataType = STORAGES.get(type);
      long[] dims = new long[sizes.size()];
      for (int i = 0; i < dims.length; i++) {
        dims[i] = i > 0 && sizes.get(i) instanceof Long size ? size : Shape.ANY;
      }
      try {
        return dataType == null
            ? Optional.empty()
            : Optional.of(new TensorSpec(name, dataType, Shape.of(dims)));
      } catch (InferenceException e) {
        return Optional.empty(); // no shape that a tensor can have
      }
    }
    return Optional.empty();
  }
}
