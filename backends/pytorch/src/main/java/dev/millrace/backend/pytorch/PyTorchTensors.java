package dev.millrace.backend.pytorch;

import ai.djl.ndarray.types.SparseFormat;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.IValue;
import ai.djl.pytorch.jni.JniUtils;
import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ShortBuffer;
import java.util.List;

/** Makes the engine's tensors from ours and ours from the engine's. */
final class PyTorchTensors {
  /** What both sides have. */
  static final List<DataType> DATA_TYPES =
      List.of(
          DataType.BOOL,
          DataType.UINT8,
          DataType.INT8,
          DataType.INT16,
          DataType.INT32,
          DataType.INT64,
          DataType.FP16,
          DataType.BF16,
          DataType.FP32,
          DataType.FP64);

  private static final ByteBuffer NOTHING = ByteBuffer.allocateDirect(0);

  private PyTorchTensors() {}

  /**
   * The engine's tensor with the contents of ours, to be closed before it.
   *
   * @param name of the input, for people
   * @param shared whether it may be over the same memory
   */
  static IValue toEngine(String name, Tensor tensor, boolean shared, PyTorchEngine.Scope scope) {
    requireKnown(name, tensor);
    return switch (tensor.dataType()) {
      case BF16 -> narrowed(tensor, DataType.FP32, scope);
      case INT16 -> narrowed(tensor, DataType.INT32, scope);
      default -> {
        PtNDArray array = over(tensor, scope);
        ai.djl.Device device = scope.manager().getDevice();
        if (device.isGpu()) {
          yield IValue.from(JniUtils.to(array, array.getDataType(), device));
        }
        yield IValue.from(shared && isAligned(tensor) ? array : JniUtils.clone(array));
      }
    };
  }

  /** The engine's tensor over the memory of ours, on the processor. */
  private static PtNDArray over(Tensor tensor, PyTorchEngine.Scope scope) {
    return JniUtils.createNdFromByteBuffer(
        scope.manager(),
        tensor.data(),
        new ai.djl.ndarray.types.Shape(tensor.shape().dims()),
        bridgeType(tensor.dataType()),
        SparseFormat.DENSE,
        ai.djl.Device.cpu());
  }

  /**
   * A tensor of a type that the bridge lacks, passed as a wider one and made narrow again there.
   */
  private static IValue narrowed(Tensor tensor, DataType wide, PyTorchEngine.Scope scope) {
    boolean isBf16 = tensor.dataType() == DataType.BF16;
    long size = Tensor.byteSize(wide, tensor.shape());
    try (PooledBuffer buffer = BufferPool.shared().take(size)) {
      ShortBuffer from = tensor.data().asShortBuffer();
      ByteBuffer to = buffer.view((int) size);
      while (from.hasRemaining()) {
        short bits = from.get();
        to.putInt(isBf16 ? bits << 16 : bits); // an FP32 begins with the bits of its BF16
      }
      Tensor widened = Tensor.wrap(wide, tensor.shape(), to.flip());
      PtNDArray array = over(widened, scope);
      ai.djl.Device device = scope.manager().getDevice();
      if (device.isGpu()) {
        array = JniUtils.to(array, array.getDataType(), device);
      }
      try (IValue value = IValue.from(array)) {
        return BridgeGaps.convert(isBf16 ? "bf16" : "int16", value);
      }
    }
  }

  /**
   * Refuses the least of the whole numbers: divided by -1 it is beyond their range, and the
   * processor ends the process.
   */
  static void requireDivisible(String name, Tensor tensor) {
    ByteBuffer data = tensor.data();
    boolean found = false;
    if (tensor.dataType() == DataType.INT64) {
      while (data.hasRemaining()) {
        found |= data.getLong() == Long.MIN_VALUE;
      }
    } else if (tensor.dataType() == DataType.INT32) {
      while (data.hasRemaining()) {
        found |= data.getInt() == Integer.MIN_VALUE;
      }
    }
    if (found) {
      throw InferenceException.invalidArgument(
          "inference input '%s' has the least %s, which cannot be divided by -1; the model divides"
              .formatted(name, tensor.dataType()));
    }
  }

  private static void requireKnown(String name, Tensor tensor) {
    if (!DATA_TYPES.contains(tensor.dataType())) {
      throw InferenceException.invalidArgument(
          "inference input '%s' data-type is '%s', but PyTorch takes one of %s"
              .formatted(name, tensor.dataType(), DATA_TYPES));
    }
    if (tensor.dataType() == DataType.BOOL) {
      // The engine takes the byte for a bit and may count, or index, with it.
      ByteBuffer data = tensor.data();
      while (data.hasRemaining()) {
        byte value = data.get();
        if (value != 0 && value != 1) {
          throw InferenceException.invalidArgument(
              "inference input '%s' of BOOL has a byte %d, expected 0 or 1"
                  .formatted(name, Byte.toUnsignedInt(value)));
        }
      }
    }
  }

  /** What the bridge calls the type. Given one that it does not know, it ends the process. */
  private static ai.djl.ndarray.types.DataType bridgeType(DataType type) {
    return switch (type) {
      case BOOL -> ai.djl.ndarray.types.DataType.BOOLEAN;
      case UINT8 -> ai.djl.ndarray.types.DataType.UINT8;
      case INT8 -> ai.djl.ndarray.types.DataType.INT8;
      case INT32 -> ai.djl.ndarray.types.DataType.INT32;
      case INT64 -> ai.djl.ndarray.types.DataType.INT64;
      case FP16 -> ai.djl.ndarray.types.DataType.FLOAT16;
      case FP32 -> ai.djl.ndarray.types.DataType.FLOAT32;
      case FP64 -> ai.djl.ndarray.types.DataType.FLOAT64;
      case INT16, BF16, UINT16, UINT32, UINT64, BYTES ->
          throw new IllegalArgumentException("the bridge has no type " + type);
    };
  }

  /** Vector code may rely on elements being aligned. */
  private static boolean isAligned(Tensor tensor) {
    return address(tensor.data()) % tensor.dataType().byteSize() == 0;
  }

  private static long address(ByteBuffer buffer) {
    return MemorySegment.ofBuffer(buffer).address();
  }

  /**
   * A tensor with the contents of the engine's.
   *
   * @param name of the output, for people
   * @param value stays the caller's, who may close it at once
   * @param shared whether it may be over the same memory
   * @param inputs of the run: an output in the memory of one is copied
   */
  static Tensor fromEngine(String name, IValue value, boolean shared, TensorMap inputs) {
    PyTorchEngine.Scope scope = PyTorchEngine.newScope();
    boolean kept = false;
    try {
      PtNDArray array = value.toTensor(scope.manager());
      boolean fetched = PyTorchEngine.isForGpus() && array.getDevice().isGpu();
      if (fetched) {
        array = JniUtils.to(array, array.getDataType(), ai.djl.Device.cpu());
      }
      DataType type = dataType(name, value, array);
      Shape shape = Shape.of(array.getShape().getShape());
      long size = Tensor.byteSize(type, shape);
      if (size == 0) {
        return Tensor.wrap(type, shape, NOTHING);
      }
      if (size > Integer.MAX_VALUE) {
        throw new InferenceException(
            ErrorCode.RESOURCE_EXHAUSTED,
            "output '%s' of %d bytes is beyond the limit of 2 GiB".formatted(name, size));
      }
      ByteBuffer contents = array.toByteBuffer(true);
      if (!fetched && (!shared || isInput(address(contents), inputs))) {
        return Tensor.copyOf(type, shape, contents);
      }
      Tensor tensor = Tensor.wrap(type, shape, contents, scope);
      kept = true;
      return tensor;
    } finally {
      if (!kept) {
        scope.close();
      }
    }
  }

  private static DataType dataType(String name, IValue value, PtNDArray array) {
    return switch (array.getDataType()) {
      case BOOLEAN -> DataType.BOOL;
      case UINT8 -> DataType.UINT8;
      case INT8 -> DataType.INT8;
      case INT32 -> DataType.INT32;
      case INT64 -> DataType.INT64;
      case FLOAT16 -> DataType.FP16;
      case FLOAT32 -> DataType.FP32;
      case FLOAT64 -> DataType.FP64;
      default ->
          BridgeGaps.dataType(value)
              .orElseThrow(() ->
                  new InferenceException(
                      ErrorCode.FAILED_PRECONDITION,
                      "output '%s' is of a type that cannot be sent; those that can are %s"
                          .formatted(name, DATA_TYPES)));
    };
  }

  /** A script may return an input, or a view of one. */
  private static boolean isInput(long address, TensorMap inputs) {
    for (int i = 0; i < inputs.size(); i++) {
      Tensor input = inputs.tensor(i);
      long start = address(input.data());
      if (address >= start && address < start + input.byteSize()) {
        return true;
      }
    }
    return false;
  }
}
