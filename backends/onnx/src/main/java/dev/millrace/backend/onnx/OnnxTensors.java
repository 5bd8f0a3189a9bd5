package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * Makes the engine's tensors from ours and ours from the engine's, both ways over the same memory
 * where that can be. Belongs to one predictor; not thread-safe.
 */
final class OnnxTensors {
  private static final ValueLayout.OfInt LENGTH =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ByteBuffer NOTHING = ByteBuffer.allocateDirect(0);

  /** A map is two tensors: its keys are the first, its values the second. */
  private static final int MAP_VALUES = 1;

  /** Where the engine writes results: a type, a pointer, a size. */
  private final MemorySegment result;

  private final MemorySegment dims;

  /** Where the inputs of the current run start and end in memory. */
  private final long[] inputStarts;

  private final long[] inputEnds;

  /**
   * For a model with {@code inputs} inputs.
   *
   * @param arena holds scratch; has to outlive this
   */
  OnnxTensors(Arena arena, int inputs) {
    this.result = arena.allocate(JAVA_LONG, 3);
    this.dims = arena.allocate(JAVA_LONG, Shape.MAX_RANK);
    this.inputStarts = new long[inputs];
    this.inputEnds = new long[inputs];
  }

  /** The datatype of a number of the enum ONNXTensorElementDataType; null if there is none. */
  static @Nullable DataType dataType(int elementType) {
    return switch (elementType) {
      case 1 -> DataType.FP32;
      case 2 -> DataType.UINT8;
      case 3 -> DataType.INT8;
      case 4 -> DataType.UINT16;
      case 5 -> DataType.INT16;
      case 6 -> DataType.INT32;
      case 7 -> DataType.INT64;
      case 8 -> DataType.BYTES;
      case 9 -> DataType.BOOL;
      case 10 -> DataType.FP16;
      case 11 -> DataType.FP64;
      case 12 -> DataType.UINT32;
      case 13 -> DataType.UINT64;
      case 16 -> DataType.BF16;
      default -> null;
    };
  }

  /** What ONNX calls a type that {@link #dataType} has nothing for. */
  static String typeName(int elementType) {
    return switch (elementType) {
      case 14 -> "COMPLEX64";
      case 15 -> "COMPLEX128";
      case 17 -> "FLOAT8E4M3FN";
      case 18 -> "FLOAT8E4M3FNUZ";
      case 19 -> "FLOAT8E5M2";
      case 20 -> "FLOAT8E5M2FNUZ";
      case 21 -> "UINT4";
      case 22 -> "INT4";
      case 23 -> "FLOAT4E2M1";
      default -> "type " + elementType;
    };
  }

  private static int elementType(DataType type) {
    return switch (type) {
      case FP32 -> 1;
      case UINT8 -> 2;
      case INT8 -> 3;
      case UINT16 -> 4;
      case INT16 -> 5;
      case INT32 -> 6;
      case INT64 -> 7;
      case BYTES -> 8;
      case BOOL -> 9;
      case FP16 -> 10;
      case FP64 -> 11;
      case UINT32 -> 12;
      case UINT64 -> 13;
      case BF16 -> 16;
    };
  }

  /**
   * A value of the engine with the contents of the {@code i}th input of a run, to be released by
   * the caller before the tensor is closed.
   */
  long toEngine(int i, Tensor tensor) {
    Shape shape = tensor.shape();
    for (int dim = 0; dim < shape.rank(); dim++) {
      dims.setAtIndex(JAVA_LONG, dim, shape.dim(dim));
    }
    DataType type = tensor.dataType();
    MemorySegment data = MemorySegment.ofBuffer(tensor.data());
    inputStarts[i] = data.address();
    inputEnds[i] = data.address() + data.byteSize();
    if (type == DataType.BYTES) {
      return texts(shape, data);
    }
    // Vector code may rely on elements being aligned.
    return data.address() % type.byteSize() == 0
        ? shared(type, shape, data)
        : copied(type, shape, data);
  }

  private long shared(DataType type, Shape shape, MemorySegment data) {
    OrtApi.call(
        OrtApi.CREATE_TENSOR_WITH_DATA,
        OrtEnvironment.CPU_MEMORY,
        data.address(),
        data.byteSize(),
        dims.address(),
        shape.rank(),
        elementType(type),
        result.address());
    return result.get(JAVA_LONG, 0);
  }

  private long allocated(DataType type, Shape shape) {
    OrtApi.call(
        OrtApi.CREATE_TENSOR,
        OrtEnvironment.ALLOCATOR,
        dims.address(),
        shape.rank(),
        elementType(type),
        result.address());
    return result.get(JAVA_LONG, 0);
  }

  private long copied(DataType type, Shape shape, MemorySegment data) {
    long value = allocated(type, shape);
    OrtMemory.at(contents(value), data.byteSize()).copyFrom(data);
    return value;
  }

  private long contents(long value) {
    OrtApi.call(OrtApi.GET_TENSOR_MUTABLE_DATA, value, result.address());
    return result.get(JAVA_LONG, 0);
  }

  /** A tensor of strings, which the engine keeps one by one. They are any bytes, not only UTF-8. */
  private long texts(Shape shape, MemorySegment data) {
    long value = allocated(DataType.BYTES, shape);
    try {
      long position = 0;
      for (long i = 0; position < data.byteSize(); i++) {
        long length = Integer.toUnsignedLong(data.get(LENGTH, position));
        OrtApi.call(OrtApi.GET_RESIZED_STRING_BUFFER, value, i, length, result.address());
        MemorySegment target = OrtMemory.at(result.get(JAVA_LONG, 0), length);
        MemorySegment.copy(data, position + Integer.BYTES, target, 0, length);
        position += Integer.BYTES + length;
      }
      return value;
    } catch (RuntimeException e) {
      OrtApi.release(OrtApi.RELEASE_VALUE, value);
      throw e;
    }
  }

  /**
   * A tensor over the contents of a value, which it takes over; for BYTES a copy, and the value is
   * released.
   *
   * @param inputs how many inputs the run had: an output that is one of them is copied
   */
  Tensor fromEngine(OrtValue value, int inputs) {
    Shape shape = shapeOf(value);
    int elementType = result.get(JAVA_INT, 0);
    DataType type = dataType(elementType);
    if (type == null) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "the engine returned a tensor of unknown type " + elementType);
    }
    if (type == DataType.BYTES) {
      return textsFromEngine(value, shape);
    }
    long size = Tensor.byteSize(type, shape);
    if (size == 0) {
      value.close();
      return Tensor.wrap(type, shape, NOTHING);
    }
    if (size > Integer.MAX_VALUE) {
      throw new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "an output of %d bytes is beyond the limit of 2 GiB".formatted(size));
    }
    long address = contents(value.handle());
    ByteBuffer contents = OrtMemory.at(address, size).asByteBuffer();
    if (isInput(address, inputs)) {
      Tensor copy = Tensor.copyOf(type, shape, contents);
      value.close();
      return copy;
    }
    return Tensor.wrap(type, shape, contents, value);
  }

  /** The shape of a tensor of the engine, whose type is left at the start of {@link #result}. */
  private Shape shapeOf(OrtValue value) {
    OrtApi.call(
        OrtApi.GET_TYPE_AND_SHAPE,
        value.handle(),
        result.address(),
        result.address() + 8,
        result.address() + 16);
    int rank = (int) result.getAtIndex(JAVA_LONG, 2);
    long[] shape = new long[rank];
    MemorySegment array = OrtMemory.at(result.getAtIndex(JAVA_LONG, 1), 8L * rank);
    MemorySegment.copy(array, JAVA_LONG, 0, shape, 0, rank);
    return Shape.of(shape);
  }

  /** A graph may name an input as its output, and the engine then returns that very memory. */
  private boolean isInput(long address, int inputs) {
    for (int i = 0; i < inputs; i++) {
      if (address >= inputStarts[i] && address < inputEnds[i]) {
        return true;
      }
    }
    return false;
  }

  private Tensor textsFromEngine(OrtValue value, Shape shape) {
    long count = shape.elementCount();
    if (count == 0) {
      value.close();
      return Tensor.wrap(DataType.BYTES, shape, NOTHING);
    }
    OrtApi.call(OrtApi.GET_STRING_TENSOR_DATA_LENGTH, value.handle(), result.address());
    long length = result.get(JAVA_LONG, 0);
    PooledBuffer target = BufferPool.shared().take(length + count * Integer.BYTES);
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment texts = scratch.allocate(Math.max(1, length));
      MemorySegment offsets = scratch.allocate(JAVA_LONG, count);
      OrtApi.call(
          OrtApi.GET_STRING_TENSOR_CONTENT,
          value.handle(),
          texts.address(),
          length,
          offsets.address(),
          count);
      ByteBuffer bytes = target.view((int) (length + count * Integer.BYTES));
      MemorySegment elements = MemorySegment.ofBuffer(bytes);
      long position = 0;
      for (long i = 0; i < count; i++) {
        long start = offsets.getAtIndex(JAVA_LONG, i);
        long end = i + 1 < count ? offsets.getAtIndex(JAVA_LONG, i + 1) : length;
        elements.set(LENGTH, position, (int) (end - start));
        position += Integer.BYTES;
        MemorySegment.copy(texts, start, elements, position, end - start);
        position += end - start;
      }
      Tensor tensor = Tensor.wrap(DataType.BYTES, shape, bytes, target);
      value.close();
      return tensor;
    } catch (RuntimeException e) {
      target.close();
      throw e;
    }
  }

  /**
   * A tensor of the values of a list of maps, a row for each map, in the order of the maps' keys.
   * The list stays the caller's.
   */
  Tensor fromListOfMaps(OrtValue list) {
    int rows = Math.toIntExact(OrtApi.get(OrtApi.GET_VALUE_COUNT, list.handle()));
    int columns = 0;
    float[] all = new float[0];
    for (int row = 0; row < rows; row++) {
      try (OrtValue map = element(list, row);
          OrtValue values = element(map, MAP_VALUES)) {
        int size = Math.toIntExact(shapeOf(values).elementCount());
        if (row == 0) {
          columns = size;
          all = new float[Math.multiplyExact(rows, columns)];
        } else if (size != columns) {
          throw new InferenceException(
              ErrorCode.INTERNAL,
              "the maps of an output differ in size: %d and %d".formatted(columns, size));
        }
        MemorySegment source = OrtMemory.at(contents(values.handle()), 4L * columns);
        MemorySegment.copy(source, JAVA_FLOAT, 0, all, row * columns, columns);
      }
    }
    return Tensor.copyOf(Shape.of(rows, columns), all);
  }

  private static OrtValue element(OrtValue container, int index) {
    return new OrtValue(
        OrtApi.get(OrtApi.GET_VALUE, container.handle(), index, OrtEnvironment.ALLOCATOR));
  }
}
