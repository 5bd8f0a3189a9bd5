package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Memory shared with TensorFlow: C strings, arrays of pointers, and what the engine made. */
final class TfMemory {
  private TfMemory() {}

  /** The {@code size} bytes at an address that the engine gave; valid as long as it says. */
  @SuppressWarnings("restricted") // the engine says how many bytes there are
  static MemorySegment at(long address, long size) {
    return MemorySegment.ofAddress(address).reinterpret(size);
  }

  /** The C string at an address, as UTF-8; "" for a null pointer. */
  static String text(long address) {
    return address == 0 ? "" : at(address, Long.MAX_VALUE).getString(0);
  }

  /** An array of C strings. */
  static MemorySegment texts(Arena arena, List<String> values) {
    MemorySegment array = arena.allocate(JAVA_LONG, Math.max(1, values.size()));
    for (int i = 0; i < values.size(); i++) {
      array.setAtIndex(JAVA_LONG, i, arena.allocateFrom(values.get(i)).address());
    }
    return array;
  }
}
