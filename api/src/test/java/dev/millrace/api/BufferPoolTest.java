package dev.millrace.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

class BufferPoolTest {
  @Test
  void closedBuffer_isUsedAgain() {
    BufferPool pool = new BufferPool(1 << 20);
    PooledBuffer first = pool.take(1000);
    first.close();
    assertThat(pool.take(700)).isSameAs(first);
  }

  @Test
  void buffers_areAlignedAndLargeEnough() {
    BufferPool pool = new BufferPool(1 << 20);
    for (int size : new int[] {0, 1, 63, 64, 65, 4096, 5000, (1 << 24) + 1}) {
      try (PooledBuffer buffer = pool.take(size)) {
        assertThat(buffer.capacity()).isGreaterThanOrEqualTo(size);
        assertThat(buffer.view(size).capacity()).isEqualTo(size);
        assertThat(MemorySegment.ofBuffer(buffer.view(size)).address() % BufferPool.ALIGNMENT)
            .isZero();
      }
    }
  }

  @Test
  void pool_keepsNoMoreThanItsBound() {
    BufferPool pool = new BufferPool(4096);
    List<PooledBuffer> taken = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      taken.add(pool.take(1024));
    }
    assertThat(pool.usedBytes()).isEqualTo(10 * 1024);
    taken.forEach(PooledBuffer::close);
    assertThat(pool.usedBytes()).isZero();
    assertThat(pool.retainedBytes()).isEqualTo(4096);
  }

  @Test
  void secondClose_doesNothing() {
    BufferPool pool = new BufferPool(4096);
    PooledBuffer buffer = pool.take(100);
    buffer.close();
    buffer.close();
    assertThat(pool.retainedBytes()).isEqualTo(128);
    assertThatThrownBy(() -> buffer.view(1)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void size_beyondTwoGibibytes_isRefused() {
    assertThatThrownBy(() -> BufferPool.shared().take(1L << 31))
        .isInstanceOfSatisfying(
            InferenceException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.RESOURCE_EXHAUSTED));
  }

  @Test
  void takersOnManyThreads_neverShareABuffer() throws Exception {
    BufferPool pool = new BufferPool(1 << 16);
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> runs = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        byte mark = (byte) (t + 1);
        Random random = new Random(t);
        runs.add(
            threads.submit(() -> {
              for (int i = 0; i < 20_000; i++) {
                int size = 1 + random.nextInt(2000);
                try (PooledBuffer buffer = pool.take(size)) {
                  buffer.view(size).put(0, mark).put(size - 1, mark);
                  assertThat(buffer.view(size).get(0)).isEqualTo(mark);
                  assertThat(buffer.view(size).get(size - 1)).isEqualTo(mark);
                }
              }
            }));
      }
      for (Future<?> run : runs) {
        run.get();
      }
    }
    assertThat(pool.usedBytes()).isZero();
  }
}
