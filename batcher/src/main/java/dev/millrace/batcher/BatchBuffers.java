package dev.millrace.batcher;

import dev.millrace.api.BufferPool;
import dev.millrace.api.PooledBuffer;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The memory in which one runner puts its batches together: a buffer for each input, grown to the
 * largest batch that there was, and used for every batch. Used by one thread.
 *
 * <p>One of each is enough, because the thread that fills a buffer is the one that runs the batch:
 * it decides what goes into a batch only when it can run it.
 */
final class BatchBuffers implements AutoCloseable {
  private @Nullable PooledBuffer[] buffers = new @Nullable PooledBuffer[4];

  /** Memory for the {@code index}-th input, until it is asked for again. */
  ByteBuffer view(int index, long bytes) {
    if (index >= buffers.length) {
      buffers = Arrays.copyOf(buffers, index + buffers.length);
    }
    PooledBuffer buffer = buffers[index];
    if (buffer == null || buffer.capacity() < bytes) {
      if (buffer != null) {
        buffers[index] = null;
        buffer.close();
      }
      buffer = BufferPool.shared().take(bytes);
      buffers[index] = buffer;
    }
    return buffer.view((int) bytes);
  }

  @Override
  public void close() {
    for (int i = 0; i < buffers.length; i++) {
      PooledBuffer buffer = buffers[i];
      if (buffer != null) {
        buffers[i] = null;
        buffer.close();
      }
    }
  }
}
