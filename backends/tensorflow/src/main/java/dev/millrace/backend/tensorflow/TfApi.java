package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Collections;
import java.util.Optional;

/**
 * The functions of TensorFlow's C interface that the backend calls. Thread-safe, as far as the
 * engine's objects are.
 *
 * <p>TensorFlow Java brings the library and the protocol classes. Its own API does not do here: it
 * has no tensors of INT8, INT16, UINT32 and UINT64, and unpacks its library, 680 MB, into the
 * user's home before the first call.
 *
 * <p>All arguments are pointers, sizes and small integers. Each of those takes one register or
 * stack slot of 64 bits in the calling conventions of x86-64 and AArch64, so they are all passed as
 * a long, and so is the result; what a function that returns nothing leaves there is not looked at,
 * and of an int the lower half counts. Described in {@code c_api.h}, {@code tf_tensor.h}, {@code
 * tf_status.h}, {@code tf_buffer.h} and {@code tf_tstring.h}.
 */
final class TfApi {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LIBRARY = TfLibrary.open();

  static final MethodHandle VERSION = function("TF_Version", 0);

  static final MethodHandle NEW_STATUS = function("TF_NewStatus", 0);
  static final MethodHandle GET_CODE = function("TF_GetCode", 1);
  static final MethodHandle MESSAGE = function("TF_Message", 1);
  static final MethodHandle DELETE_STATUS = function("TF_DeleteStatus", 1);

  static final MethodHandle NEW_BUFFER_FROM_STRING = function("TF_NewBufferFromString", 2);
  static final MethodHandle DELETE_BUFFER = function("TF_DeleteBuffer", 1);

  static final MethodHandle NEW_SESSION_OPTIONS = function("TF_NewSessionOptions", 0);
  static final MethodHandle SET_CONFIG = function("TF_SetConfig", 4);
  static final MethodHandle DELETE_SESSION_OPTIONS = function("TF_DeleteSessionOptions", 1);

  static final MethodHandle NEW_GRAPH = function("TF_NewGraph", 0);
  static final MethodHandle GRAPH_OPERATION_BY_NAME = function("TF_GraphOperationByName", 2);
  static final MethodHandle OPERATION_NUM_OUTPUTS = function("TF_OperationNumOutputs", 1);
  static final MethodHandle DELETE_GRAPH = function("TF_DeleteGraph", 1);

  static final MethodHandle LOAD_SESSION_FROM_SAVED_MODEL =
      function("TF_LoadSessionFromSavedModel", 8);
  static final MethodHandle NEW_SESSION = function("TF_NewSession", 3);
  static final MethodHandle SESSION_LIST_DEVICES = function("TF_SessionListDevices", 2);
  static final MethodHandle DEVICE_LIST_COUNT = function("TF_DeviceListCount", 1);
  static final MethodHandle DEVICE_LIST_TYPE = function("TF_DeviceListType", 3);
  static final MethodHandle DELETE_DEVICE_LIST = function("TF_DeleteDeviceList", 1);
  static final MethodHandle SESSION_RUN = function("TF_SessionRun", 12);
  static final MethodHandle CLOSE_SESSION = function("TF_CloseSession", 2);
  static final MethodHandle DELETE_SESSION = function("TF_DeleteSession", 2);

  static final MethodHandle ALLOCATE_TENSOR = function("TF_AllocateTensor", 4);
  static final MethodHandle NEW_TENSOR = function("TF_NewTensor", 7);
  static final MethodHandle TENSOR_TYPE = function("TF_TensorType", 1);
  static final MethodHandle NUM_DIMS = function("TF_NumDims", 1);
  static final MethodHandle DIM = function("TF_Dim", 2);
  static final MethodHandle TENSOR_DATA = function("TF_TensorData", 1);
  static final MethodHandle DELETE_TENSOR = function("TF_DeleteTensor", 1);

  static final MethodHandle STRING_INIT = function("TF_StringInit", 1);
  static final MethodHandle STRING_COPY = function("TF_StringCopy", 3);
  static final MethodHandle STRING_GET_SIZE = function("TF_StringGetSize", 1);
  static final MethodHandle STRING_GET_DATA_POINTER = function("TF_StringGetDataPointer", 1);
  static final MethodHandle STRING_DEALLOC = function("TF_StringDealloc", 1);

  private TfApi() {}

  /** The engine's version, as in {@code 2.18.0}. */
  static String version() {
    return TfMemory.text(call(VERSION));
  }

  private static MethodHandle function(String name, int arguments) {
    return function(LIBRARY, name, arguments);
  }

  /** A function of {@code library} with as many arguments, all passed as longs. */
  static MethodHandle function(SymbolLookup library, String name, int arguments) {
    return find(library, name, arguments)
        .orElseThrow(
            () -> new IllegalStateException("the library has no function %s".formatted(name)));
  }

  /** A function that not every build of the engine has. */
  static Optional<MethodHandle> find(String name, int arguments) {
    return find(LIBRARY, name, arguments);
  }

  @SuppressWarnings("restricted") // calls native code, which is what a backend is for
  private static Optional<MethodHandle> find(SymbolLookup library, String name, int arguments) {
    return library
        .find(name)
        .map(address ->
            LINKER.downcallHandle(address, FunctionDescriptor.of(JAVA_LONG, longs(arguments))));
  }

  private static MemoryLayout[] longs(int count) {
    return Collections.nCopies(count, JAVA_LONG).toArray(MemoryLayout[]::new);
  }

  /** Downcalls throw nothing that the callee could cause. */
  private static AssertionError unexpected(Throwable failure) {
    return new AssertionError("calling TensorFlow failed", failure);
  }

  static long call(MethodHandle function) {
    try {
      return (long) function.invokeExact();
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static long call(MethodHandle function, long a) {
    try {
      return (long) function.invokeExact(a);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static long call(MethodHandle function, long a, long b) {
    try {
      return (long) function.invokeExact(a, b);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static long call(MethodHandle function, long a, long b, long c) {
    try {
      return (long) function.invokeExact(a, b, c);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static long call(MethodHandle function, long a, long b, long c, long d) {
    try {
      return (long) function.invokeExact(a, b, c, d);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static long call(MethodHandle function, long a, long b, long c, long d, long e, long f, long g) {
    try {
      return (long) function.invokeExact(a, b, c, d, e, f, g);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
  }

  static long call(
      MethodHandle function, long a, long b, long c, long d, long e, long f, long g, long h) {
    try {
      return (long) function.invokeExact(a, b, c, d, e, f, g, h);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
  }

  /** Runs a session without run metadata and without operations that have no output. */
  static void run(
      long session,
      long runOptions,
      long inputs,
      long inputValues,
      long inputCount,
      long outputs,
      long outputValues,
      long outputCount,
      long status) {
    try {
      long _ =
          (long)
              SESSION_RUN.invokeExact(
                  session,
                  runOptions,
                  inputs,
                  inputValues,
                  inputCount,
                  outputs,
                  outputValues,
                  outputCount,
                  0L,
                  0L,
                  0L,
                  status);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }
}
