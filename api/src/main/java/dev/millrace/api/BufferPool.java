package dev.millrace.api;

import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Memory outside the heap for tensors, used again instead of being allocated for each request.
 * Thread-safe.
 *
 * <p>Sizes are rounded up to a power of two, so at most half of a buffer is unused. Buffers up to
 * {@value #LARGEST_POOLED} bytes are kept for the next taker while the pool keeps less than its
 * bound; all others are freed at once when they are closed, not when the garbage collector comes
 * by. Buffers are aligned to {@value #ALIGNMENT} bytes and hold whatever was in them before.
 */
public final class BufferPool {
  /** Start of every buffer, in bytes: a cache line, and the widest vector register. */
  public static final int ALIGNMENT = 64;

  /** The largest buffer that is kept for the next taker: 16 MiB. */
  public static final int LARGEST_POOLED = 1 << 24;

  private static final int SMALLEST_BITS = 6;
  private static final int LARGEST_BITS = 24;
  private static final BufferPool SHARED =
      new BufferPool(Math.min(256L << 20, Runtime.getRuntime().maxMemory() / 2));

  private final long maxRetainedBytes;
  private final Bin[] bins = new Bin[LARGEST_BITS - SMALLEST_BITS + 1];
  private final AtomicLong usedBytes = new AtomicLong();
  private final AtomicLong retainedBytes = new AtomicLong();

  /** A pool that keeps at most {@code maxRetainedBytes} of closed buffers. */
  public BufferPool(long maxRetainedBytes) {
    this.maxRetainedBytes = maxRetainedBytes;
    for (int i = 0; i < bins.length; i++) {
      bins[i] = new Bin();
    }
  }

  /** The pool of this process, which keeps 256 MiB, or half of the most heap if that is less. */
  public static BufferPool shared() {
    return SHARED;
  }

  /**
   * A buffer of at least {@code size} bytes, which the caller closes.
   *
   * @throws InferenceException RESOURCE_EXHAUSTED if {@code size} is beyond 2 GiB or the machine
   *     has no such memory
   */
  public PooledBuffer take(long size) {
    if (size > Integer.MAX_VALUE - ALIGNMENT) {
      throw new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "a tensor of %d bytes is beyond the limit of 2 GiB".formatted(size));
    }
    if (size > LARGEST_POOLED) {
      return allocate((int) size, null);
    }
    Bin bin = bins[binOf((int) size)];
    PooledBuffer buffer = bin.poll();
    if (buffer == null) {
      return allocate(1 << Math.max(SMALLEST_BITS, bitsOf((int) size)), bin);
    }
    retainedBytes.addAndGet(-buffer.capacity());
    usedBytes.addAndGet(buffer.capacity());
    buffer.reopen();
    return buffer;
  }

  @SuppressWarnings("MustBeClosedChecker") // the buffer closes it in free()
  private PooledBuffer allocate(int capacity, @Nullable Bin bin) {
    Arena arena = Arena.ofShared();
    try {
      ByteBuffer memory = arena.allocate(capacity, ALIGNMENT).asByteBuffer();
      usedBytes.addAndGet(capacity);
      return new PooledBuffer(this, bin, arena, memory);
    } catch (OutOfMemoryError e) {
      arena.close();
      throw new InferenceException(
          ErrorCode.RESOURCE_EXHAUSTED, "no memory for a tensor of %d bytes".formatted(capacity));
    }
  }

  /** Takes a closed buffer back. */
  void release(PooledBuffer buffer) {
    int capacity = buffer.capacity();
    usedBytes.addAndGet(-capacity);
    Bin bin = buffer.bin();
    if (bin != null && retainedBytes.addAndGet(capacity) <= maxRetainedBytes) {
      bin.push(buffer);
      return;
    }
    if (bin != null) {
      retainedBytes.addAndGet(-capacity);
    }
    buffer.free();
  }

  /** Bytes of the buffers that are taken and not closed. */
  public long usedBytes() {
    return usedBytes.get();
  }

  /** Bytes kept for the next taker. */
  public long retainedBytes() {
    return retainedBytes.get();
  }

  private static int bitsOf(int size) {
    return size <= 1 ? 0 : 32 - Integer.numberOfLeadingZeros(size - 1);
  }

  private static int binOf(int size) {
    return Math.max(SMALLEST_BITS, bitsOf(size)) - SMALLEST_BITS;
  }

  /** The closed buffers of one size; the one closed last is the warmest in cache and goes first. */
  static final class Bin {
    private final ArrayDeque<PooledBuffer> free = new ArrayDeque<>();

    synchronized @Nullable PooledBuffer poll() {
      return free.pollFirst();
    }

    synchronized void push(PooledBuffer buffer) {
      free.addFirst(buffer);
    }
  }
}
