package dev.millrace.server.memory;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The regions of system memory (POSIX shared memory objects) that clients have registered. What is
 * registered, every client can use: that is how the protocol is, and why it is off unless somebody
 * turns it on. Thread-safe.
 */
public final class SharedMemory implements AutoCloseable {
  /** Where Linux has POSIX shared memory objects. */
  public static final Path OBJECTS = Path.of("/dev/shm");

  private static final int MOST_REGIONS = 1024;
  private static final SharedMemory OFF = new SharedMemory(null);

  /** Where the memory objects are; null if shared memory is off. */
  private final @Nullable Path directory;

  /** Guarded by this. */
  private final Map<String, OpenRegion> regions = new TreeMap<>();

  private SharedMemory(@Nullable Path directory) {
    this.directory = directory;
  }

  /** Answers everything with UNIMPLEMENTED. */
  public static SharedMemory off() {
    return OFF;
  }

  /** The memory objects in {@code directory}, and nothing else. */
  public static SharedMemory in(Path directory) {
    return new SharedMemory(directory);
  }

  /** Whether regions can be registered. */
  public boolean isOn() {
    return directory != null;
  }

  private Path requireOn() {
    Path objects = directory;
    if (objects == null) {
      throw new InferenceException(
          ErrorCode.UNIMPLEMENTED,
          "shared memory is not supported: it is off on this server (system-shared-memory)");
    }
    return objects;
  }

  /**
   * Registers a region.
   *
   * @throws InferenceException INVALID_ARGUMENT if its object is not there or is too short,
   *     FAILED_PRECONDITION if there is a region of that name, RESOURCE_EXHAUSTED if there are too
   *     many, UNIMPLEMENTED if shared memory is off
   */
  public void register(SharedRegion region) {
    Path objects = requireOn();
    if (region.name().isEmpty()) {
      throw InferenceException.invalidArgument("a shared memory region needs a name");
    }
    synchronized (this) {
      if (regions.containsKey(region.name())) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "shared memory region '%s' already in manager".formatted(region.name()));
      }
      if (regions.size() == MOST_REGIONS) {
        throw new InferenceException(
            ErrorCode.RESOURCE_EXHAUSTED,
            "there are %d shared memory regions, which are the most there may be"
                .formatted(MOST_REGIONS));
      }
      regions.put(region.name(), OpenRegion.open(objects, region));
    }
  }

  /**
   * Forgets a region, if there is one of that name; requests that are using it fail.
   *
   * @throws InferenceException UNIMPLEMENTED if shared memory is off
   */
  public synchronized void unregister(String name) {
    var _ = requireOn();
    OpenRegion region = regions.remove(name);
    if (region != null) {
      region.close();
    }
  }

  /**
   * Forgets all regions.
   *
   * @throws InferenceException UNIMPLEMENTED if shared memory is off
   */
  public void unregisterAll() {
    var _ = requireOn();
    close();
  }

  /**
   * The regions, by name.
   *
   * @param name of the only one asked for; empty for all
   * @throws InferenceException NOT_FOUND if there is none of that name, UNIMPLEMENTED if shared
   *     memory is off
   */
  public synchronized List<SharedRegion> status(String name) {
    var _ = requireOn();
    return name.isEmpty()
        ? regions.values().stream().map(OpenRegion::region).toList()
        : List.of(find(name, ErrorCode.NOT_FOUND).region());
  }

  private synchronized OpenRegion find(String name, ErrorCode otherwise) {
    OpenRegion region = regions.get(name);
    if (region == null) {
      throw new InferenceException(
          otherwise, "Unable to find shared memory region: '%s'".formatted(name));
    }
    return region;
  }

  private OpenRegion find(MemoryRange range) {
    var _ = requireOn();
    OpenRegion region = find(range.region(), ErrorCode.INVALID_ARGUMENT);
    long size = region.region().byteSize();
    if (range.offset() > size || range.byteSize() > size - range.offset()) {
      throw InferenceException.invalidArgument(
          "Invalid offset + byte size for shared memory region: '%s': offset %d and byte size %d go beyond its %d bytes"
              .formatted(range.region(), range.offset(), range.byteSize(), size));
    }
    return region;
  }

  /** Checks the bytes of an input. */
  @FunctionalInterface
  public interface Check {
    /** Throws if these are not the bytes of that tensor. */
    void check(DataType type, Shape shape, ByteBuffer bytes);
  }

  /**
   * Reads a tensor, which the caller closes. Blocks for as long as it takes to copy it.
   *
   * @param check of the copy, which nobody can change any more
   * @throws InferenceException INVALID_ARGUMENT if there is no such region, or the range is not
   *     within it; UNIMPLEMENTED if shared memory is off; what {@code check} throws
   */
  public Tensor read(MemoryRange range, DataType type, Shape shape, Check check) {
    OpenRegion region = find(range);
    PooledBuffer buffer = BufferPool.shared().take(range.byteSize());
    try {
      ByteBuffer bytes = buffer.view((int) range.byteSize());
      region.read(range.offset(), bytes);
      bytes.flip();
      check.check(type, shape, bytes);
      return Tensor.wrap(type, shape, bytes, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /**
   * Writes a tensor. Blocks for as long as it takes to copy it.
   *
   * @param output its name, for people
   * @throws InferenceException INVALID_ARGUMENT if there is no such region, or the range is not
   *     within it, or is too small; UNIMPLEMENTED if shared memory is off
   */
  public void write(MemoryRange range, String output, Tensor tensor) {
    OpenRegion region = find(range);
    if (tensor.byteSize() > range.byteSize()) {
      throw InferenceException.invalidArgument(
          "shared memory size specified with the request for output '%s' (%d bytes) should be at least %d bytes to hold the results"
              .formatted(output, range.byteSize(), tensor.byteSize()));
    }
    region.write(range.offset(), tensor.data());
  }

  /**
   * Checks that a range can be written to.
   *
   * @throws InferenceException as {@link #write}
   */
  public void check(MemoryRange range) {
    var _ = find(range);
  }

  /** Forgets all regions. */
  @Override
  public synchronized void close() {
    regions.values().forEach(OpenRegion::close);
    regions.clear();
  }
}
