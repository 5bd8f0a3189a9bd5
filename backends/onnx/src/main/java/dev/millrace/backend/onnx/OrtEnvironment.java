package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** What all sessions of the process share in the engine; lives as long as the process. */
final class OrtEnvironment {
  /** The allocator that OrtAllocatorType calls OrtDeviceAllocator. */
  private static final long DEVICE_ALLOCATOR = 0;

  /** The memory that OrtMemType calls OrtMemTypeDefault. */
  private static final long DEFAULT_MEMORY = 0;

  /** The environment itself. */
  static final long HANDLE = create();

  /** The allocator for names and texts that the engine hands out. */
  static final long ALLOCATOR = OrtApi.get(OrtApi.GET_DEFAULT_ALLOCATOR);

  /** Says of data that they are in ordinary memory. */
  static final long CPU_MEMORY =
      OrtApi.get(OrtApi.CREATE_CPU_MEMORY_INFO, DEVICE_ALLOCATOR, DEFAULT_MEMORY);

  /** The execution providers of this build, as in {@code CPUExecutionProvider}. */
  static final List<String> PROVIDERS = providers();

  private OrtEnvironment() {}

  private static long create() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(JAVA_LONG);
      OrtApi.call(
          OrtApi.CREATE_ENV_WITH_CUSTOM_LOGGER,
          OrtLog.function(),
          0,
          OrtLog.WARNING,
          Arena.global().allocateFrom("millrace").address(),
          result.address());
      long environment = result.get(JAVA_LONG, 0);
      OrtApi.call(OrtApi.DISABLE_TELEMETRY_EVENTS, environment);
      return environment;
    }
  }

  private static List<String> providers() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment array = arena.allocate(JAVA_LONG);
      MemorySegment size = arena.allocate(JAVA_LONG);
      OrtApi.call(OrtApi.GET_AVAILABLE_PROVIDERS, array.address(), size.address());
      long address = array.get(JAVA_LONG, 0);
      int count = size.get(JAVA_INT, 0);
      List<String> names = new ArrayList<>();
      MemorySegment pointers = OrtMemory.at(address, count * ADDRESS.byteSize());
      for (int i = 0; i < count; i++) {
        names.add(OrtMemory.text(pointers.getAtIndex(JAVA_LONG, i)));
      }
      OrtApi.call(OrtApi.RELEASE_AVAILABLE_PROVIDERS, address, count);
      return List.copyOf(names);
    }
  }

  /** Reads a text that the engine allocated, and frees it. */
  static String takeText(long address) {
    try {
      return OrtMemory.text(address);
    } finally {
      OrtApi.call(OrtApi.ALLOCATOR_FREE, ALLOCATOR, address);
    }
  }
}
