package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Tensors of strings, which the engine keeps as an array of {@code TF_TString}: short ones within
 * it, long ones elsewhere. They are any bytes, not only UTF-8.
 */
final class TfStrings {
  private static final ValueLayout.OfInt LENGTH =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Bytes of a TF_TString. */
  private static final int SIZE = 24;

  /** Where the engine's kernels want tensors to start: at a multiple of that. */
  private static final long ALIGNMENT = 64;

  private static final MethodHandle ALLOCATE = standard("aligned_alloc", 2);
  private static final MethodHandle FREE = standard("free", 1);

  /** What the engine calls when nobody reads the tensor any more: the address of a function. */
  private static final long DEALLOCATOR = deallocator();

  private TfStrings() {}

  private static MethodHandle standard(String name, int arguments) {
    return TfApi.function(Linker.nativeLinker().defaultLookup(), name, arguments);
  }

  @SuppressWarnings("restricted") // native code calls it, which is what a backend is for
  private static long deallocator() {
    try {
      MethodType type = MethodType.methodType(void.class, long.class, long.class, long.class);
      return Linker.nativeLinker()
          .upcallStub(
              MethodHandles.lookup().findStatic(TfStrings.class, "deallocate", type),
              FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_LONG, JAVA_LONG),
              Arena.global())
          .address();
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }

  /** An exception that left this method would end the process, so none does. */
  @SuppressWarnings({"unused", "EffectivelyPrivate"}) // called by the engine
  private static void deallocate(long data, long size, long argument) {
    try {
      free(data, size / SIZE);
    } catch (Throwable e) {
      System.err.println("memory of a tensor of TensorFlow was lost: " + e);
    }
  }

  private static void free(long data, long count) {
    for (long i = 0; i < count; i++) {
      TfApi.call(TfApi.STRING_DEALLOC, data + i * SIZE);
    }
    TfApi.call(FREE, data);
  }

  /**
   * A tensor of the engine with copies of these strings.
   *
   * @param dims the address of the dimensions
   * @param elements each with its length before it
   */
  static TfTensor toEngine(Shape shape, long dims, MemorySegment elements) {
    int type = TensorFlowTypes.number(DataType.BYTES);
    long count = shape.elementCount();
    if (count == 0) {
      return new TfTensor(TfApi.call(TfApi.ALLOCATE_TENSOR, type, dims, shape.rank(), 0));
    }
    long size = Math.multiplyExact(count, SIZE);
    long data = TfApi.call(ALLOCATE, ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (data == 0) {
      throw new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED, "no memory for a tensor of %d strings".formatted(count));
    }
    long position = 0;
    for (long i = 0; i < count; i++) {
      long length = Integer.toUnsignedLong(elements.get(LENGTH, position));
      long string = data + i * SIZE;
      TfApi.call(TfApi.STRING_INIT, string);
      TfApi.call(TfApi.STRING_COPY, string, elements.address() + position + Integer.BYTES, length);
      position += Integer.BYTES + length;
    }
    long handle =
        TfApi.call(TfApi.NEW_TENSOR, type, dims, shape.rank(), data, size, DEALLOCATOR, 0);
    if (handle == 0) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "the engine made no tensor of BYTES" + shape);
    }
    return new TfTensor(handle);
  }

  /** A tensor with copies of the engine's strings, which stay the caller's. */
  static Tensor fromEngine(TfTensor tensor, Shape shape) {
    long count = shape.elementCount();
    long data = TfApi.call(TfApi.TENSOR_DATA, tensor.handle());
    long size = count * Integer.BYTES;
    for (long i = 0; i < count; i++) {
      size += TfApi.call(TfApi.STRING_GET_SIZE, data + i * SIZE);
    }
    PooledBuffer target = BufferPool.shared().take(size);
    try {
      ByteBuffer bytes = target.view((int) size);
      MemorySegment elements = MemorySegment.ofBuffer(bytes);
      long position = 0;
      for (long i = 0; i < count; i++) {
        long length = TfApi.call(TfApi.STRING_GET_SIZE, data + i * SIZE);
        elements.set(LENGTH, position, (int) length);
        position += Integer.BYTES;
        if (length > 0) {
          long source = TfApi.call(TfApi.STRING_GET_DATA_POINTER, data + i * SIZE);
          MemorySegment.copy(TfMemory.at(source, length), 0, elements, position, length);
        }
        position += length;
      }
      return Tensor.wrap(DataType.BYTES, shape, bytes, target);
    } catch (RuntimeException e) {
      target.close();
      throw e;
    }
  }
}
