package dev.millrace.batcher;

import dev.millrace.api.Tensor;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A tensor with several holders, closed when the last of them closes this. Made with one holder;
 * {@link #retain} adds another. Thread-safe.
 */
final class SharedTensor implements AutoCloseable {
  private final Tensor tensor;
  private final AtomicInteger holders = new AtomicInteger(1);

  /** Takes the tensor over. */
  SharedTensor(Tensor tensor) {
    this.tensor = tensor;
  }

  SharedTensor retain() {
    holders.incrementAndGet();
    return this;
  }

  /** To be called once by each holder. */
  @Override
  public void close() {
    if (holders.decrementAndGet() == 0) {
      tensor.close();
    }
  }
}
