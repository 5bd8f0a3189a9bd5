package dev.millrace.api;

import java.lang.foreign.Arena;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * Memory outside the heap, taken from a {@link BufferPool}. Whoever took it closes it once, or
 * gives it to {@link Tensor#wrap(DataType, Shape, PooledBuffer)}, whose tensor then does.
 *
 * <p>Safe to hand from one thread to another; not to be used by two at once.
 */
public final class PooledBuffer implements AutoCloseable {
  private static final VarHandle OPEN;

  static {
    try {
      OPEN = MethodHandles.lookup().findVarHandle(PooledBuffer.class, "open", boolean.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final BufferPool pool;
  private final BufferPool.@Nullable Bin bin;
  private final Arena arena;
  private final ByteBuffer memory;

  @SuppressWarnings("unused") // through OPEN
  private volatile boolean open = true;

  PooledBuffer(BufferPool pool, BufferPool.@Nullable Bin bin, Arena arena, ByteBuffer memory) {
    this.pool = pool;
    this.bin = bin;
    this.arena = arena;
    this.memory = memory;
  }

  /** Bytes that fit; at least what was asked for. */
  public int capacity() {
    return memory.capacity();
  }

  /**
   * A little-endian view of the first {@code size} bytes, position 0. Dies with this buffer.
   *
   * @throws IllegalStateException if the buffer is closed
   */
  public ByteBuffer view(int size) {
    if (!open) {
      throw new IllegalStateException("the buffer is closed");
    }
    return memory.slice(0, size).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Gives the memory back to the pool; a second call does nothing. */
  @Override
  public void close() {
    if (OPEN.compareAndSet(this, true, false)) {
      pool.release(this);
    }
  }

  BufferPool.@Nullable Bin bin() {
    return bin;
  }

  void reopen() {
    open = true;
  }

  void free() {
    arena.close();
  }
}
