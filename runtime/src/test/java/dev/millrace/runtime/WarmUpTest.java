package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Predictor;
import dev.millrace.testing.TensorLeakExtension;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class WarmUpTest {
  private final List<String> runs = new ArrayList<>();

  private Predictor predictor(Runnable run) {
    return new Predictor() {
      @Override
      public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
        runs.add(inputs.toString());
        run.run();
        return TensorMap.empty();
      }

      @Override
      public void close() {}
    };
  }

  private static ModelMetadata metadata(int maxBatchSize, TensorSpec... inputs) {
    return new ModelMetadata(
        new ModelId("m", "1"), "fake", List.of(inputs), List.of(), maxBatchSize, Map.of());
  }

  private static final TensorSpec[] INPUTS = {
    new TensorSpec("A", DataType.FP16, Shape.of(-1, 3, -1)),
    new TensorSpec("B", DataType.BYTES, Shape.of(-1, 2)),
    new TensorSpec("C", DataType.BOOL, Shape.of(-1), true)
  };

  @Test
  void batchableModel_runsWithOneRowAndWithTwo_onEveryInstance() {
    Predictor predictor = predictor(() -> {});
    WarmUp.run(metadata(8, INPUTS), List.of(predictor, predictor), Ticker.system());
    assertThat(runs)
        .containsExactly(
            "{A=FP16[1,3,16], B=BYTES[1,2]}",
            "{A=FP16[1,3,16], B=BYTES[1,2]}",
            "{A=FP16[2,3,16], B=BYTES[2,2]}",
            "{A=FP16[2,3,16], B=BYTES[2,2]}");
  }

  @Test
  void modelWithoutBatchDimension_runsOnce() {
    WarmUp.run(
        metadata(0, new TensorSpec("A", DataType.INT64, Shape.scalar())),
        List.of(predictor(() -> {})),
        Ticker.system());
    assertThat(runs).containsExactly("{A=INT64[]}");
  }

  @Test
  void runThatFails_isTriedWithTheSmallestInputs_andEndsTheWarmUpAndNothingElse() {
    assertThat(
            WarmUp.run(
                metadata(8, INPUTS),
                List.of(
                    predictor(() -> {
                      throw new IllegalStateException("made-up inputs do not do");
                    })),
                Ticker.system()))
        .isEmpty();
    assertThat(runs)
        .containsExactly("{A=FP16[1,3,16], B=BYTES[1,2]}", "{A=FP16[1,3,1], B=BYTES[1,2]}");
  }

  @Test
  void modelThatTakesTheSmallestInputsOnly_isWarmedUpWithThose() {
    Predictor predictor =
        predictor(() -> {
          if (runs.size() == 1) {
            throw new IllegalStateException("too long");
          }
        });
    assertThat(WarmUp.run(metadata(8, INPUTS), List.of(predictor), Ticker.system()))
        .hasValueSatisfying(inputs -> assertThat(inputs.rowElements()).isEqualTo(5));
    assertThat(runs)
        .containsExactly(
            "{A=FP16[1,3,16], B=BYTES[1,2]}",
            "{A=FP16[1,3,1], B=BYTES[1,2]}",
            "{A=FP16[2,3,1], B=BYTES[2,2]}");
  }

  @Test
  void engineThatCannotRunTheModel_failsTheLoad() {
    for (ErrorCode code : List.of(ErrorCode.UNIMPLEMENTED, ErrorCode.FAILED_PRECONDITION)) {
      Predictor predictor =
          predictor(() -> {
            throw new InferenceException(code, "no kernel");
          });
      assertThatThrownBy(() -> WarmUp.run(metadata(8, INPUTS), List.of(predictor), Ticker.system()))
          .hasMessage("no kernel");
    }
  }

  @Test
  void time_isBounded() {
    AtomicLong nanos = new AtomicLong();
    Predictor slow = predictor(() -> nanos.addAndGet(20_000_000_000L));
    WarmUp.run(metadata(8, INPUTS), List.of(slow, slow, slow), nanos::get);
    assertThat(runs).hasSize(2);
  }

  @Test
  void hugeInputs_areNotMadeUp() {
    WarmUp.run(
        metadata(0, new TensorSpec("A", DataType.FP64, Shape.of(1 << 20, 1 << 20))),
        List.of(predictor(() -> {})),
        Ticker.system());
    assertThat(runs).isEmpty();
  }
}
