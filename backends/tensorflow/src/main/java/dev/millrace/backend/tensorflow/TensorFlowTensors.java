package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * Makes the engine's tensors from ours and ours from the engine's. Belongs to one predictor; not
 * thread-safe.
 *
 * <p>What goes in is copied once: a graph may keep its input, in a variable or as an output, longer
 * than the caller keeps the tensor. What comes out is shared; only strings are copied.
 */
final class TensorFlowTensors {
  private static final ByteBuffer NOTHING = ByteBuffer.allocateDirect(0);

  private final MemorySegment dims;

  /** With scratch in {@code arena}, which has to outlive this. */
  TensorFlowTensors(Arena arena) {
    this.dims = arena.allocate(JAVA_LONG, Shape.MAX_RANK);
  }

  /**
   * A copy in the engine's memory, which the caller closes. The tensor stays the caller's.
   *
   * @throws InferenceException INVALID_ARGUMENT if the shape is one that the engine would end the
   *     process for
   */
  TfTensor toEngine(String name, Tensor tensor) {
    Shape shape = tensor.shape();
    requireAddressable(name, shape);
    for (int i = 0; i < shape.rank(); i++) {
      dims.setAtIndex(JAVA_LONG, i, shape.dim(i));
    }
    MemorySegment data = MemorySegment.ofBuffer(tensor.data());
    if (tensor.dataType() == DataType.BYTES) {
      return TfStrings.toEngine(shape, dims.address(), data);
    }
    long handle =
        TfApi.call(
            TfApi.ALLOCATE_TENSOR,
            TensorFlowTypes.number(tensor.dataType()),
            dims.address(),
            shape.rank(),
            data.byteSize());
    TfTensor copy = new TfTensor(handle);
    if (data.byteSize() > 0) {
      long address = handle == 0 ? 0 : TfApi.call(TfApi.TENSOR_DATA, handle);
      if (address == 0) {
        copy.close();
        throw new InferenceException(
            ErrorCode.RESOURCE_EXHAUSTED,
            "no memory for input '%s' of %d bytes".formatted(name, data.byteSize()));
      }
      copy(tensor.dataType(), data, TfMemory.at(address, data.byteSize()));
    }
    return copy;
  }

  /** A truth value is one bit of its byte; the engine takes the others for granted. */
  private static void copy(DataType type, MemorySegment source, MemorySegment target) {
    if (type == DataType.BOOL) {
      for (long i = 0; i < source.byteSize(); i++) {
        target.set(JAVA_BYTE, i, (byte) (source.get(JAVA_BYTE, i) == 0 ? 0 : 1));
      }
    } else {
      target.copyFrom(source);
    }
  }

  /**
   * The engine multiplies the dimensions from left to right and ends the process when that
   * overflows, even if a later one is 0.
   */
  private static void requireAddressable(String name, Shape shape) {
    long product = 1;
    for (int i = 0; i < shape.rank(); i++) {
      long dim = Math.max(1, shape.dim(i));
      if (Math.multiplyHigh(product, dim) != 0 || product * dim < 0) {
        throw InferenceException.invalidArgument(
            "shape %s of input '%s' has dimensions that are too large".formatted(shape, name));
      }
      product *= dim;
    }
  }

  /** A tensor over the contents of the engine's, which it takes over; of strings a copy. */
  static Tensor fromEngine(String name, TfTensor tensor) {
    try {
      return wrap(name, tensor);
    } catch (RuntimeException e) {
      tensor.close();
      throw e;
    }
  }

  private static Tensor wrap(String name, TfTensor tensor) {
    int number = (int) TfApi.call(TfApi.TENSOR_TYPE, tensor.handle());
    DataType type = TensorFlowTypes.dataType(number);
    if (type == null) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "output '%s' is a tensor of a type that cannot be served: %d".formatted(name, number));
    }
    Shape shape = shapeOf(tensor);
    if (type == DataType.BYTES) {
      Tensor strings = TfStrings.fromEngine(tensor, shape);
      tensor.close();
      return strings;
    }
    long size = Tensor.byteSize(type, shape);
    if (size == 0) {
      tensor.close();
      return Tensor.wrap(type, shape, NOTHING);
    }
    if (size > Integer.MAX_VALUE) {
      throw new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "output '%s' of %d bytes is beyond the limit of 2 GiB".formatted(name, size));
    }
    long address = TfApi.call(TfApi.TENSOR_DATA, tensor.handle());
    return Tensor.wrap(type, shape, TfMemory.at(address, size).asByteBuffer(), tensor);
  }

  private static Shape shapeOf(TfTensor tensor) {
    int rank = (int) TfApi.call(TfApi.NUM_DIMS, tensor.handle());
    long[] shape = new long[rank];
    for (int i = 0; i < rank; i++) {
      shape[i] = TfApi.call(TfApi.DIM, tensor.handle(), i);
    }
    return Shape.of(shape);
  }
}
