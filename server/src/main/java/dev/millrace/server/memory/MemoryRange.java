package dev.millrace.server.memory;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.InferenceException;

/**
 * A place in a registered region, where a tensor is or goes.
 *
 * @param region its registered name
 * @param offset from the start of the region, in bytes
 * @param byteSize of the place
 */
public record MemoryRange(String region, long offset, long byteSize) {
  public MemoryRange {
    requireNonNull(region, "region is null");
    if (offset < 0 || byteSize < 0) {
      throw InferenceException.invalidArgument(
          "shared_memory_offset and shared_memory_byte_size of region '%s' must not be negative, got %d and %d"
              .formatted(region, offset, byteSize));
    }
  }
}
