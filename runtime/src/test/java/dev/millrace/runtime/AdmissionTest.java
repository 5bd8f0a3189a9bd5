package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class AdmissionTest {
  private final Admission admission = new Admission(2, 100);

  private static void assertRefused(ErrorCode code, Runnable enter) {
    assertThatThrownBy(enter::run)
        .isInstanceOfSatisfying(
            InferenceException.class, e -> assertThat(e.code()).isEqualTo(code));
  }

  @Test
  void requestsBeyondTheLimit_areRefused_untilOneLeaves() {
    admission.enter(1);
    admission.enter(1);
    assertRefused(ErrorCode.RESOURCE_EXHAUSTED, () -> admission.enter(1));
    assertThat(admission.requests()).isEqualTo(2);
    admission.leave(1);
    admission.enter(1);
  }

  @Test
  void bytesBeyondTheLimit_areRefused_exceptForARequestAlone() {
    admission.enter(500);
    assertRefused(ErrorCode.RESOURCE_EXHAUSTED, () -> admission.enter(1));
    admission.leave(500);
    admission.enter(60);
    assertRefused(ErrorCode.RESOURCE_EXHAUSTED, () -> admission.enter(60));
    assertThat(admission.bytes()).isEqualTo(60);
  }

  @Test
  void refusal_saysWhenToComeBack() {
    admission.enter(1);
    admission.enter(1);
    assertThatThrownBy(() -> admission.enter(1))
        .isInstanceOfSatisfying(
            InferenceException.class,
            e -> assertThat(e.retryAfter()).hasValue(Duration.ofSeconds(1)));
  }

  @Test
  void closed_letsNobodyIn_andIsDrainedWhenTheLastHasLeft() throws InterruptedException {
    admission.enter(1);
    admission.close();
    assertRefused(ErrorCode.UNAVAILABLE, () -> admission.enter(1));
    assertThat(admission.awaitDrained(Duration.ZERO)).isFalse();
    admission.leave(1);
    assertThat(admission.awaitDrained(Duration.ZERO)).isTrue();
  }

  @Test
  void closedWhileEmpty_isDrained() throws InterruptedException {
    admission.close();
    assertThat(admission.awaitDrained(Duration.ZERO)).isTrue();
  }
}
