package dev.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorTracking;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;

class TensorLeakExtensionTest {
  @Test
  void openTensor_isReportedWithTheStackThatMadeIt() {
    Tensor forgotten = Tensor.copyOf(Shape.of(2), 1, 2);
    assertThatThrownBy(() -> TensorLeakExtension.requireNoneBut(Set.of(), Duration.ZERO))
        .isInstanceOf(AssertionError.class)
        .hasMessage("1 tensors were not closed")
        .satisfies(error ->
            assertThat(error.getSuppressed()[0])
                .hasMessageContaining("INT32[2]")
                .hasStackTraceContaining("TensorLeakExtensionTest"));
    forgotten.close();
    assertThatCode(() -> TensorLeakExtension.requireNoneBut(Set.of(), Duration.ZERO))
        .doesNotThrowAnyException();
  }

  @Test
  void tensorFromBefore_isNotReported() {
    try (Tensor shared = Tensor.copyOf(Shape.of(2), 1, 2)) {
      assertThat(shared.isClosed()).isFalse();
      TensorLeakExtension.requireNoneBut(Set.copyOf(TensorTracking.open()), Duration.ZERO);
    }
  }

  @Test
  void tensorThatAnotherThreadCloses_isWaitedFor() throws InterruptedException {
    Tensor tensor = Tensor.copyOf(Shape.of(2), 1, 2);
    Thread closer = Thread.ofPlatform().start(tensor::close);
    TensorLeakExtension.requireNoneBut(Set.of(), Duration.ofSeconds(30));
    closer.join();
  }
}
