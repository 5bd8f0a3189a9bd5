package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Collections;

/**
 * The functions of ONNX Runtime's C interface that the backend calls. Thread-safe, as far as the
 * engine's objects are.
 *
 * <p>The engine's own Java API does not do here: it makes no tensors of UINT16, UINT32 and UINT64,
 * turns texts into modified UTF-8, does not see the inputs that have a default, and copies outputs
 * by way of the heap.
 *
 * <p>The interface is a table of functions that only ever grows at its end; the numbers below are
 * places in that table ({@code struct OrtApi} in {@code onnxruntime_c_api.h}). All arguments are
 * pointers, sizes and small integers. Each of those takes one register or stack slot of 64 bits in
 * the calling conventions of x86-64 and AArch64, so they are all passed as a long.
 */
final class OrtApi {
  /** The version of the table that has every function below: ONNX Runtime 1.24. */
  private static final int API_VERSION = 24;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LIBRARY = OrtLibrary.open();
  private static final MemorySegment BASE = base();
  private static final MemorySegment TABLE = table();

  private static final MethodHandle GET_ERROR_CODE = returning(1, 1);
  private static final MethodHandle GET_ERROR_MESSAGE = returning(2, 1);
  private static final MethodHandle RELEASE_STATUS = releasing(93);

  static final MethodHandle CREATE_ENV_WITH_CUSTOM_LOGGER = returning(4, 5);
  static final MethodHandle DISABLE_TELEMETRY_EVENTS = returning(6, 1);
  static final MethodHandle CREATE_SESSION = returning(7, 4);
  static final MethodHandle RUN = returning(9, 8);
  static final MethodHandle CREATE_SESSION_OPTIONS = returning(10, 1);
  static final MethodHandle SET_SESSION_EXECUTION_MODE = returning(13, 2);
  static final MethodHandle DISABLE_CPU_MEM_ARENA = returning(19, 1);
  static final MethodHandle SET_SESSION_LOG_ID = returning(20, 2);
  static final MethodHandle SET_SESSION_GRAPH_OPTIMIZATION_LEVEL = returning(23, 2);
  static final MethodHandle SET_INTRA_OP_NUM_THREADS = returning(24, 2);
  static final MethodHandle SET_INTER_OP_NUM_THREADS = returning(25, 2);
  static final MethodHandle SESSION_GET_INPUT_COUNT = returning(30, 2);
  static final MethodHandle SESSION_GET_OUTPUT_COUNT = returning(31, 2);
  static final MethodHandle SESSION_GET_DEFAULT_COUNT = returning(32, 2);
  static final MethodHandle SESSION_GET_INPUT_TYPE_INFO = returning(33, 3);
  static final MethodHandle SESSION_GET_OUTPUT_TYPE_INFO = returning(34, 3);
  static final MethodHandle SESSION_GET_DEFAULT_TYPE_INFO = returning(35, 3);
  static final MethodHandle SESSION_GET_INPUT_NAME = returning(36, 4);
  static final MethodHandle SESSION_GET_OUTPUT_NAME = returning(37, 4);
  static final MethodHandle SESSION_GET_DEFAULT_NAME = returning(38, 4);
  static final MethodHandle CREATE_RUN_OPTIONS = returning(39, 1);
  static final MethodHandle RUN_OPTIONS_SET_LOG_SEVERITY = returning(41, 2);
  static final MethodHandle RUN_OPTIONS_SET_TERMINATE = returning(46, 1);
  static final MethodHandle RUN_OPTIONS_UNSET_TERMINATE = returning(47, 1);
  static final MethodHandle CREATE_TENSOR = returning(48, 5);
  static final MethodHandle CREATE_TENSOR_WITH_DATA = returning(49, 7);
  static final MethodHandle GET_TENSOR_MUTABLE_DATA = returning(51, 2);
  static final MethodHandle GET_STRING_TENSOR_DATA_LENGTH = returning(53, 2);
  static final MethodHandle GET_STRING_TENSOR_CONTENT = returning(54, 5);
  static final MethodHandle CAST_TYPE_INFO_TO_TENSOR_INFO = returning(55, 2);
  static final MethodHandle GET_ONNX_TYPE_FROM_TYPE_INFO = returning(56, 2);
  static final MethodHandle GET_TENSOR_ELEMENT_TYPE = returning(60, 2);
  static final MethodHandle GET_DIMENSIONS_COUNT = returning(61, 2);
  static final MethodHandle GET_DIMENSIONS = returning(62, 3);
  static final MethodHandle GET_SYMBOLIC_DIMENSIONS = returning(63, 3);
  static final MethodHandle CREATE_CPU_MEMORY_INFO = returning(69, 3);
  static final MethodHandle ALLOCATOR_FREE = returning(76, 2);
  static final MethodHandle GET_DEFAULT_ALLOCATOR = returning(78, 1);
  static final MethodHandle GET_VALUE = returning(80, 4);
  static final MethodHandle GET_VALUE_COUNT = returning(81, 2);
  static final MethodHandle CAST_TYPE_INFO_TO_SEQUENCE_INFO = returning(104, 2);
  static final MethodHandle GET_SEQUENCE_ELEMENT_TYPE = returning(107, 2);
  static final MethodHandle SESSION_GET_MODEL_METADATA = returning(111, 2);
  static final MethodHandle METADATA_GET_PRODUCER = returning(112, 3);
  static final MethodHandle METADATA_GET_GRAPH_NAME = returning(113, 3);
  static final MethodHandle METADATA_GET_DOMAIN = returning(114, 3);
  static final MethodHandle METADATA_GET_DESCRIPTION = returning(115, 3);
  static final MethodHandle METADATA_LOOKUP = returning(116, 4);
  static final MethodHandle METADATA_GET_VERSION = returning(117, 2);
  static final MethodHandle METADATA_GET_KEYS = returning(123, 4);
  static final MethodHandle GET_AVAILABLE_PROVIDERS = returning(125, 2);
  static final MethodHandle RELEASE_AVAILABLE_PROVIDERS = returning(126, 2);
  static final MethodHandle ADD_SESSION_CONFIG_ENTRY = returning(130, 3);
  static final MethodHandle APPEND_CUDA_PROVIDER = returning(204, 2);
  static final MethodHandle CREATE_CUDA_OPTIONS = returning(205, 1);
  static final MethodHandle UPDATE_CUDA_OPTIONS = returning(206, 4);
  static final MethodHandle APPEND_PROVIDER = returning(216, 5);
  static final MethodHandle CAST_TYPE_INFO_TO_OPTIONAL_INFO = returning(250, 2);
  static final MethodHandle GET_OPTIONAL_CONTAINED_TYPE = returning(251, 2);
  static final MethodHandle GET_RESIZED_STRING_BUFFER = returning(252, 4);
  static final MethodHandle HAS_SHAPE = returning(390, 1);
  static final MethodHandle GET_TYPE_AND_SHAPE = returning(414, 4);

  static final MethodHandle RELEASE_SESSION = releasing(95);
  static final MethodHandle RELEASE_VALUE = releasing(96);
  static final MethodHandle RELEASE_RUN_OPTIONS = releasing(97);
  static final MethodHandle RELEASE_TYPE_INFO = releasing(98);
  static final MethodHandle RELEASE_SESSION_OPTIONS = releasing(100);
  static final MethodHandle RELEASE_MODEL_METADATA = releasing(118);
  static final MethodHandle RELEASE_CUDA_OPTIONS = releasing(208);

  private OrtApi() {}

  /** The engine's version, as in {@code 1.29.0}. */
  static String version() {
    MethodHandle getVersionString = downcall(BASE.get(JAVA_LONG, JAVA_LONG.byteSize()), 0);
    try {
      return OrtMemory.text((long) getVersionString.invokeExact());
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static MemorySegment base() {
    long entry =
        LIBRARY
            .find("OrtGetApiBase")
            .orElseThrow(() -> new IllegalStateException("the library is not ONNX Runtime"))
            .address();
    try {
      return OrtMemory.at((long) downcall(entry, 0).invokeExact(), 2 * JAVA_LONG.byteSize());
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static MemorySegment table() {
    long api;
    try {
      api = (long) downcall(BASE.get(JAVA_LONG, 0), 1).invokeExact((long) API_VERSION);
    } catch (Throwable e) {
      throw unexpected(e);
    }
    if (api == 0) {
      throw new IllegalStateException(
          "this ONNX Runtime is older than 1.%d".formatted(API_VERSION));
    }
    return OrtMemory.at(api, 415 * JAVA_LONG.byteSize());
  }

  private static MethodHandle returning(int place, int arguments) {
    return downcall(TABLE.getAtIndex(JAVA_LONG, place), arguments);
  }

  @SuppressWarnings("restricted") // calls native code, which is what a backend is for
  private static MethodHandle downcall(long function, int arguments) {
    return LINKER.downcallHandle(
        MemorySegment.ofAddress(function), FunctionDescriptor.of(JAVA_LONG, longs(arguments)));
  }

  @SuppressWarnings("restricted") // as above
  private static MethodHandle releasing(int place) {
    return LINKER.downcallHandle(
        MemorySegment.ofAddress(TABLE.getAtIndex(JAVA_LONG, place)),
        FunctionDescriptor.ofVoid(JAVA_LONG));
  }

  private static MemoryLayout[] longs(int count) {
    return Collections.nCopies(count, JAVA_LONG).toArray(MemoryLayout[]::new);
  }

  /** Downcalls throw nothing that the callee could cause. */
  private static AssertionError unexpected(Throwable failure) {
    return new AssertionError("calling ONNX Runtime failed", failure);
  }

  // Calls. Each throws an OrtException if the engine returns a status.

  static void call(MethodHandle function, long a) {
    long status;
    try {
      status = (long) function.invokeExact(a);
    } catch (Throwable e) {
      throw unexpected(e);
    }
    check(status);
  }

  static void call(MethodHandle function, long a, long b) {
    long status;
    try {
      status = (long) function.invokeExact(a, b);
    } catch (Throwable e) {
      throw unexpected(e);
    }
    check(status);
  }

  static void call(MethodHandle function, long a, long b, long c) {
    long status;
    try {
      status = (long) function.invokeExact(a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
    check(status);
  }

  static void call(MethodHandle function, long a, long b, long c, long d) {
    long status;
    try {
      status = (long) function.invokeExact(a, b, c, d);
    } catch (Throwable e) {
      throw unexpected(e);
    }
    check(status);
  }

  static void call(MethodHandle function, long a, long b, long c, long d, long e) {
    long status;
    try {
      status = (long) function.invokeExact(a, b, c, d, e);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
    check(status);
  }

  static void call(MethodHandle function, long a, long b, long c, long d, long e, long f, long g) {
    long status;
    try {
      status = (long) function.invokeExact(a, b, c, d, e, f, g);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
    check(status);
  }

  static void call(
      MethodHandle function, long a, long b, long c, long d, long e, long f, long g, long h) {
    long status;
    try {
      status = (long) function.invokeExact(a, b, c, d, e, f, g, h);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
    check(status);
  }

  /** Calls a function whose only argument is where it writes its result, and returns that. */
  static long get(MethodHandle function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(JAVA_LONG);
      call(function, result.address());
      return result.get(JAVA_LONG, 0);
    }
  }

  /** As {@link #get(MethodHandle)}, with one argument before. */
  static long get(MethodHandle function, long a) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(JAVA_LONG);
      call(function, a, result.address());
      return result.get(JAVA_LONG, 0);
    }
  }

  /** As {@link #get(MethodHandle)}, with two arguments before. */
  static long get(MethodHandle function, long a, long b) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(JAVA_LONG);
      call(function, a, b, result.address());
      return result.get(JAVA_LONG, 0);
    }
  }

  /** As {@link #get(MethodHandle)}, with three arguments before. */
  static long get(MethodHandle function, long a, long b, long c) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(JAVA_LONG);
      call(function, a, b, c, result.address());
      return result.get(JAVA_LONG, 0);
    }
  }

  /** Calls a function that returns a C++ bool. */
  static boolean test(MethodHandle function, long a) {
    try {
      return ((long) function.invokeExact(a) & 0xFF) != 0;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Frees an object of the engine; 0 is none. */
  static void release(MethodHandle function, long object) {
    try {
      function.invokeExact(object);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static void check(long status) {
    if (status != 0) {
      throw failure(status);
    }
  }

  private static OrtException failure(long status) {
    try {
      int code = (int) (long) GET_ERROR_CODE.invokeExact(status);
      String words = OrtMemory.text((long) GET_ERROR_MESSAGE.invokeExact(status));
      RELEASE_STATUS.invokeExact(status);
      return new OrtException(code, words);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }
}
