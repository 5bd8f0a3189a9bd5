package dev.millrace.backend.python;

import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** An anonymous file of a worker's, mapped here too. Used by one thread at a time. */
final class SharedRegion implements AutoCloseable {
  private final Arena arena;
  private final ByteBuffer memory;

  private SharedRegion(Arena arena, ByteBuffer memory) {
    this.arena = arena;
    this.memory = memory;
  }

  /**
   * Maps the file that {@code descriptor} of process {@code pid} stands for.
   *
   * @throws IOException if there is none of that size, or it may not be opened
   */
  @SuppressWarnings("MustBeClosedChecker") // the region closes it
  static SharedRegion open(long pid, int descriptor, long size) throws IOException {
    if (size < 1 || size > Integer.MAX_VALUE) {
      throw new IOException("a region of %d bytes".formatted(size));
    }
    Path file = Path.of("/proc", Long.toString(pid), "fd", Integer.toString(descriptor));
    Arena arena = Arena.ofShared();
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      if (channel.size() < size) { // and reading beyond the end would be fatal
        throw new IOException("%s has %d bytes, not %d".formatted(file, channel.size(), size));
      }
      MemorySegment segment = channel.map(MapMode.READ_WRITE, 0, size, arena);
      return new SharedRegion(arena, segment.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN));
    } catch (IOException | RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  int size() {
    return memory.capacity();
  }

  /** The contents, from 0 to the size. */
  ByteBuffer memory() {
    return memory;
  }

  /** Bytes that the contents of these tensors take here. */
  static long sizeOf(TensorMap tensors) {
    long sum = 0;
    for (int i = 0; i < tensors.size(); i++) {
      sum += Frame.aligned(tensors.tensor(i).byteSize());
    }
    return sum;
  }

  /** Copies the contents of tensors that fit. */
  void put(TensorMap tensors) {
    int at = 0;
    for (int i = 0; i < tensors.size(); i++) {
      Tensor tensor = tensors.tensor(i);
      ByteBuffer data = tensor.data();
      memory.put(at, data, data.position(), data.remaining());
      at = (int) Frame.aligned(at + (long) tensor.byteSize());
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
