package dev.millrace.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

class InferenceExceptionTest {
  @Test
  void of_unwrapsFuturesAndKeepsTheCode() {
    InferenceException notFound = InferenceException.notFound("no");
    assertThat(InferenceException.of(new CompletionException(notFound))).isSameAs(notFound);
    assertThat(InferenceException.of(new CancellationException()).code())
        .isEqualTo(ErrorCode.CANCELLED);
    assertThat(InferenceException.of(new IllegalStateException("boom")))
        .hasMessage("boom")
        .hasCauseInstanceOf(IllegalStateException.class)
        .extracting(InferenceException::code)
        .isEqualTo(ErrorCode.INTERNAL);
  }

  @Test
  void clientFaults_carryNoStack() {
    assertThat(InferenceException.invalidArgument("x").getStackTrace()).isEmpty();
    assertThat(new InferenceException(ErrorCode.INTERNAL, "x").getStackTrace()).isNotEmpty();
    assertThat(InferenceException.exhausted("full", Duration.ofSeconds(2)).retryAfter())
        .contains(Duration.ofSeconds(2));
  }

  @Test
  void whatIsReported_isNoFault_andStaysNoneWithMoreWords() {
    InferenceException reported = InferenceException.reported(ErrorCode.INTERNAL, "a bad row");
    assertThat(reported.isFault()).isFalse();
    assertThat(reported.getStackTrace()).isEmpty();
    InferenceException told = reported.withMessage("step 'a' failed: a bad row");
    assertThat(told.code()).isEqualTo(ErrorCode.INTERNAL);
    assertThat(told.isFault()).isFalse();
    assertThat(told).hasCause(reported).hasMessage("step 'a' failed: a bad row");
    assertThat(new InferenceException(ErrorCode.INTERNAL, "x").withMessage("y").isFault()).isTrue();
    assertThat(InferenceException.notFound("x").isFault()).isFalse();
  }

  @Test
  void deadline_expiresByTheTicker() {
    long[] now = {Long.MAX_VALUE - 5};
    Deadline deadline = Deadline.after(Duration.ofNanos(10), () -> now[0]);
    assertThat(deadline.isExpired(now[0])).isFalse();
    now[0] += 10; // overflows
    assertThat(deadline.isExpired(now[0])).isTrue();
    assertThat(Deadline.none().isExpired(now[0])).isFalse();
  }
}
