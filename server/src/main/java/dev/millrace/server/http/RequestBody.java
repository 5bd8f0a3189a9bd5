package dev.millrace.server.http;

import dev.millrace.api.InferenceException;
import dev.millrace.server.transport.DirectMemory;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import org.jspecify.annotations.Nullable;

/**
 * Collects the pieces of one body into one buffer. A body that comes in one piece is not copied;
 * one that comes in several is laid out so that what follows its first {@code headerLength} bytes,
 * the binary tensors, starts at a cache line.
 */
final class RequestBody {
  private static final int ALIGNMENT = 64;

  /** First size of a buffer: what a client announces is not yet what it sends. */
  private static final int FIRST_SIZE = 256 << 10;

  private static final int GROWTH = 4;

  private final ByteBufAllocator allocator;
  private final int headerLength;
  private @Nullable ByteBuf buffer;

  /** Whether the buffer was made here, and may be written to. */
  private boolean collecting;

  /**
   * An empty body.
   *
   * @param headerLength where binary tensors start, 0 if nowhere
   */
  RequestBody(ByteBufAllocator allocator, int headerLength) {
    this.allocator = allocator;
    this.headerLength = headerLength;
  }

  int size() {
    return buffer == null ? 0 : buffer.readableBytes();
  }

  /**
   * Adds a piece and takes it over.
   *
   * @param expected bytes of the whole body, -1 if unknown
   * @throws InferenceException RESOURCE_EXHAUSTED if there is no memory for it
   */
  void add(ByteBuf piece, int expected) {
    if (!piece.isReadable()) {
      piece.release();
      return;
    }
    ByteBuf current = buffer;
    if (current == null) {
      buffer = piece;
      return;
    }
    try {
      int needed = current.readableBytes() + piece.readableBytes();
      if (!collecting || current.writableBytes() < piece.readableBytes()) {
        current = grow(current, needed, expected);
      }
      current.writeBytes(piece);
    } finally {
      piece.release();
    }
  }

  private ByteBuf grow(ByteBuf old, int needed, int expected) {
    int size =
        Math.max(
            needed,
            Math.max(FIRST_SIZE, (int) Math.min(1L << 30, (long) GROWTH * old.readableBytes())));
    if (expected >= 0) {
      size = Math.max(needed, Math.min(size, expected));
    }
    DirectMemory.requireForRequest(size);
    ByteBuf grown = allocator.directBuffer(size + ALIGNMENT);
    int padding = padding(grown);
    grown.setIndex(padding, padding);
    grown.writeBytes(old, old.readerIndex(), old.readableBytes());
    old.release();
    buffer = grown;
    collecting = true;
    return grown;
  }

  private int padding(ByteBuf grown) {
    long start = grown.hasMemoryAddress() ? grown.memoryAddress() : 0;
    return (int) (-(start + headerLength) & (ALIGNMENT - 1));
  }

  /** The body, now the caller's; null if it is empty. */
  @Nullable ByteBuf take() {
    ByteBuf taken = buffer;
    buffer = null;
    return taken;
  }

  void release() {
    ByteBuf left = take();
    if (left != null) {
      left.release();
    }
  }
}
