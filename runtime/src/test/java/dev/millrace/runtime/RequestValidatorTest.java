package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class RequestValidatorTest {
  private static final Shape ROW = Shape.of(1, 2);

  private final RequestValidator validator =
      validator(
          8,
          new TensorSpec("INPUT0", DataType.INT32, Shape.of(-1, 2)),
          new TensorSpec("INPUT1", DataType.INT32, Shape.of(-1, 2)));

  private static RequestValidator validator(int maxBatchSize, TensorSpec... inputs) {
    return new RequestValidator(
        new ModelMetadata(
            new ModelId("simple", "1"),
            "fake",
            List.of(inputs),
            List.of(new TensorSpec("OUTPUT0", DataType.INT32, Shape.of(-1, 2))),
            maxBatchSize,
            Map.of()));
  }

  private static Tensor ints(Shape shape) {
    return Tensor.copyOf(shape, new int[(int) shape.elementCount()]);
  }

  private static InferenceRequest request(String id, TensorMap inputs, String... outputs) {
    return new InferenceRequest(
        id,
        ModelId.latest("simple"),
        inputs,
        List.of(outputs),
        Parameters.empty(),
        Deadline.none());
  }

  private static void assertBad(
      RequestValidator validator, InferenceRequest request, String message) {
    try (request) {
      assertThatThrownBy(() -> validator.validate(request))
          .isInstanceOfSatisfying(
              InferenceException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
          .hasMessage(message);
    }
  }

  @Test
  void rightRequest_passes() {
    Shape shape = Shape.of(3, 2);
    try (var request =
        request("", TensorMap.of("INPUT1", ints(shape), "INPUT0", ints(shape)), "OUTPUT0")) {
      assertThatCode(() -> validator.validate(request)).doesNotThrowAnyException();
    }
  }

  @Test
  void missingInput_isNamed() {
    assertBad(
        validator,
        request("", TensorMap.of("INPUT0", ints(ROW))),
        "[request id: <id_unknown>] expected 2 inputs but got 1 inputs for model 'simple'. Got"
            + " input(s) ['INPUT0'], but missing required input(s) ['INPUT1']. Please provide all"
            + " required input(s).");
  }

  @Test
  void missingInput_besideOptionalOnes_isNamed() {
    RequestValidator optional =
        validator(
            0,
            new TensorSpec("A", DataType.INT32, Shape.of(2)),
            new TensorSpec("B", DataType.INT32, Shape.of(2), true));
    assertBad(
        optional,
        request("", TensorMap.of("B", ints(Shape.of(2)))),
        "[request id: <id_unknown>] expected number of inputs between 1 and 2 but got 1 inputs for"
            + " model 'simple'. Got input(s) ['B'], but missing required input(s) ['A']. Please"
            + " provide all required input(s).");
    try (var request = request("", TensorMap.of("A", ints(Shape.of(2))))) {
      assertThatCode(() -> optional.validate(request)).doesNotThrowAnyException();
    }
  }

  @Test
  void unexpectedInput_isNamed_withTheRequestsId() {
    assertBad(
        validator,
        request("r7", TensorMap.of("INPUT0", ints(ROW), "X", ints(ROW))),
        "[request id: r7] unexpected inference input 'X' for model 'simple'");
  }

  @Test
  void wrongDatatype_saysBoth() {
    assertBad(
        validator,
        request("", TensorMap.of("INPUT0", ints(ROW), "INPUT1", Tensor.copyOf(ROW, 1f, 2f))),
        "[request id: <id_unknown>] inference input 'INPUT1' data-type is 'FP32', but model"
            + " 'simple' expects 'INT32'");
  }

  @Test
  void wrongShape_saysBoth() {
    assertBad(
        validator,
        request("", TensorMap.of("INPUT0", ints(ROW), "INPUT1", ints(Shape.of(1, 3)))),
        "[request id: <id_unknown>] unexpected shape for input 'INPUT1' for model 'simple'."
            + " Expected [-1,2], got [1,3]. NOTE: the first dimension is the batch dimension.");
  }

  @Test
  void batchDimensionsThatDiffer_areNamed() {
    assertBad(
        validator,
        request("", TensorMap.of("INPUT0", ints(ROW), "INPUT1", ints(Shape.of(2, 2)))),
        "[request id: <id_unknown>] input 'INPUT1' batch size does not match other inputs for"
            + " 'simple'");
  }

  @Test
  void unknownOutput_isNamed() {
    assertBad(
        validator,
        request("", TensorMap.of("INPUT0", ints(ROW), "INPUT1", ints(ROW)), "OUTPUT9"),
        "[request id: <id_unknown>] unexpected inference output 'OUTPUT9' for model 'simple'");
  }

  @Test
  void modelWithoutSignature_takesAnything() {
    try (var request = request("", TensorMap.of("X", ints(Shape.of(7))))) {
      assertThatCode(() -> validator(0).validate(request)).doesNotThrowAnyException();
    }
  }

  @Test
  void deadline_isTheEarlierOfItsOwnAndTheParameter_elseTheDefault() {
    Ticker ticker = () -> 1_000;
    Optional<Duration> none = Optional.empty();
    Optional<Duration> second = Optional.of(Duration.ofSeconds(1));
    InferenceRequest plain = request("", TensorMap.empty());
    assertThat(RequestValidator.withDeadline(plain, none, FrontEnd.NONE, ticker)).isSameAs(plain);
    assertThat(
            RequestValidator.withDeadline(plain, second, FrontEnd.NONE, ticker).deadline().nanos())
        .isEqualTo(1_000_001_000L);
    InferenceRequest timed = withParameter("timeout", 5);
    assertThat(
            RequestValidator.withDeadline(timed, second, FrontEnd.NONE, ticker).deadline().nanos())
        .isEqualTo(6_000);
    InferenceRequest early = timed.withDeadline(new Deadline(2_000));
    assertThat(RequestValidator.withDeadline(early, second, FrontEnd.NONE, ticker)).isSameAs(early);
    InferenceRequest late = timed.withDeadline(new Deadline(9_000));
    assertThat(RequestValidator.withDeadline(late, none, FrontEnd.NONE, ticker).deadline().nanos())
        .isEqualTo(6_000);
    assertThat(
            RequestValidator.withDeadline(withParameter("timeout", 0), none, FrontEnd.NONE, ticker)
                .deadline()
                .isNone())
        .isTrue();
    assertThatThrownBy(() ->
            RequestValidator.withDeadline(
                withParameter("timeout", "5"), none, FrontEnd.NONE, ticker))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("'timeout'");
    assertThatThrownBy(() ->
            RequestValidator.withDeadline(
                withParameter("timeout", -5), none, FrontEnd.NONE, ticker))
        .hasMessageContaining("must not be negative");
  }

  @Test
  void deadline_leavesTimeForTheWay_butAQuarterAtMost() {
    Ticker ticker = () -> 1_000;
    Optional<Duration> none = Optional.empty();
    InferenceRequest timed = withParameter("timeout", 5);
    assertThat(RequestValidator.withDeadline(timed, none, way(500), ticker).deadline().nanos())
        .isEqualTo(5_500);
    assertThat(RequestValidator.withDeadline(timed, none, way(90_000), ticker).deadline().nanos())
        .isEqualTo(4_750);
    InferenceRequest late = request("", TensorMap.empty()).withDeadline(new Deadline(900));
    assertThat(RequestValidator.withDeadline(late, none, way(500), ticker)).isSameAs(late);
    InferenceRequest plain = request("", TensorMap.empty());
    assertThat(RequestValidator.withDeadline(plain, none, way(500), ticker)).isSameAs(plain);
  }

  private static FrontEnd way(long nanos) {
    return new FrontEnd() {
      @Override
      public void afterReading(Runnable task) {
        task.run();
      }

      @Override
      public long wayNanos() {
        return nanos;
      }
    };
  }

  private static InferenceRequest withParameter(String key, Object value) {
    return new InferenceRequest(
        "",
        ModelId.latest("simple"),
        TensorMap.empty(),
        List.of(),
        Parameters.copyOf(Map.of(key, value)),
        Deadline.none());
  }
}
