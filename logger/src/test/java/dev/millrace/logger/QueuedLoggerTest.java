package dev.millrace.logger;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.BufferPool;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.logger.ScriptedSink.Behaviour;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class QueuedLoggerTest {
  private static final ModelId M = new ModelId("m", "3");

  @TempDir private Path directory;
  private final Records.Counts counts = new Records.Counts();
  private final ScriptedSink sink = new ScriptedSink();
  private final List<InferenceLogger> loggers = new ArrayList<>();

  private InferenceLogger start(Object... settings) {
    InferenceLogger logger =
        QueuedLogger.start(
            LoggerSettings.read(Records.settings(settings), Map.of()), promised -> sink, counts);
    loggers.add(logger);
    return logger;
  }

  private static InferenceLogger model(InferenceLogger logger, Object... section) {
    return logger.forModel(M, Records.settings(section));
  }

  @AfterEach
  void closeLoggers_freesAllMemory() {
    loggers.forEach(logger -> logger.close(Duration.ofSeconds(5)));
    assertThat(BufferPool.shared().usedBytes()).isZero();
  }

  private static boolean wants(InferenceLogger logger, Side side) {
    return logger.wants(side, "id", Parameters.empty());
  }

  @Test
  void modes_chooseSides_underAllTheirNames() {
    InferenceLogger logger = start("sink", "file");
    for (String mode : List.of("ALL", "all")) {
      InferenceLogger model = model(logger, "mode", mode);
      assertThat(wants(model, Side.MODEL_INPUTS)).isTrue();
      assertThat(wants(model, Side.PREDICTIONS)).isTrue();
    }
    for (String mode : List.of("MODEL_INPUTS", "model-inputs", "request")) {
      InferenceLogger model = model(logger, "mode", mode);
      assertThat(wants(model, Side.MODEL_INPUTS)).isTrue();
      assertThat(wants(model, Side.PREDICTIONS)).isFalse();
    }
    for (String mode : List.of("PREDICTIONS", "predictions", "response")) {
      InferenceLogger model = model(logger, "mode", mode);
      assertThat(wants(model, Side.MODEL_INPUTS)).isFalse();
      assertThat(wants(model, Side.PREDICTIONS)).isTrue();
    }
    InferenceLogger none = model(logger, "mode", "NONE");
    assertThat(wants(none, Side.MODEL_INPUTS)).isFalse();
    assertThatThrownBy(() -> model(logger, "mode", "some"))
        .hasMessageContaining("test: mode: expected all, model-inputs");
    assertThatThrownBy(() -> model(logger, "mood", "all"))
        .hasMessageContaining("did you mean 'mode'");
  }

  @Test
  void recordsOfAModel_haveTheirOwnNamesTypesAndShapes() throws Exception {
    InferenceLogger model = model(start("format", "json"));
    List<TensorMap> all =
        List.of(
            TensorMap.of("x", Tensor.copyOf(Shape.of(1), 1f)),
            TensorMap.of("x", Tensor.copyOf(Shape.of(1, 1), 2f)),
            TensorMap.of("x", Tensor.copyOf(Shape.of(1, 1), 3f)),
            TensorMap.of("y", Tensor.copyOf(Shape.of(1, 1), 4f)),
            TensorMap.of("y", Tensor.copyOf(Shape.of(1, 1), 5)),
            TensorMap.of(
                "y", Tensor.copyOf(Shape.of(2), 6, 7), "z", Tensor.copyOf(Shape.of(1), 8f)),
            TensorMap.of("y", Tensor.copyOf(Shape.of(2), 9, 10)),
            TensorMap.empty());
    for (TensorMap tensors : all) {
      for (Side side : Side.values()) {
        model.log(Records.record(side, "id", Map.of(), tensors, null));
      }
      tensors.close();
    }
    Await.until("all are taken", () -> sink.taken.size() == 2 * all.size());
    List<String> tensors =
        List.of(
            "{'name':'x','datatype':'FP32','shape':[1],'data':[1.0]}",
            "{'name':'x','datatype':'FP32','shape':[1,1],'data':[2.0]}",
            "{'name':'x','datatype':'FP32','shape':[1,1],'data':[3.0]}",
            "{'name':'y','datatype':'FP32','shape':[1,1],'data':[4.0]}",
            "{'name':'y','datatype':'INT32','shape':[1,1],'data':[5]}",
            "{'name':'y','datatype':'INT32','shape':[2],'data':[6,7]},"
                + "{'name':'z','datatype':'FP32','shape':[1],'data':[8.0]}",
            "{'name':'y','datatype':'INT32','shape':[2],'data':[9,10]}",
            "");
    for (int i = 0; i < sink.taken.size(); i++) {
      String name = i % 2 == 0 ? "'inputs':[" : "'outputs':[";
      String expected = (name + tensors.get(i / 2) + "]").replace('\'', '"');
      assertThat(sink.taken.get(i)).contains(expected);
    }
  }

  @Test
  void mode_isSwitchedWhileItServes_forAllVersions() {
    InferenceLogger logger = start();
    InferenceLogger model = model(logger);
    InferenceLogger other = logger.forModel(new ModelId("m", "4"), Settings.empty("test"));
    logger.change("m", Records.settings("mode", "none", "sample-rate", 0.5));
    assertThat(wants(model, Side.PREDICTIONS)).isFalse();
    assertThat(wants(other, Side.PREDICTIONS)).isFalse();
    assertThat(logger.settings("m"))
        .containsEntry("mode", "none")
        .containsEntry("sample-rate", 0.5);
    // A reload with the same configuration does not take it back.
    model(logger);
    assertThat(wants(model, Side.PREDICTIONS)).isFalse();
    assertThatThrownBy(() -> logger.change("m", Records.settings("sample-rate", 2)))
        .hasMessageContaining("a number from 0 to 1");
    assertThatThrownBy(() -> logger.change("n", Records.settings("mode", "all")))
        .isInstanceOf(InferenceException.class);
  }

  @Test
  void sampling_keepsPairs_andTheHeaderWins() {
    InferenceLogger model = model(start(), "sample-rate", 0.25, "sample-header", "X-Log");
    int logged = 0;
    for (int i = 0; i < 10_000; i++) {
      boolean inputs = model.wants(Side.MODEL_INPUTS, "id-" + i, Parameters.empty());
      assertThat(model.wants(Side.PREDICTIONS, "id-" + i, Parameters.empty())).isEqualTo(inputs);
      logged += inputs ? 1 : 0;
    }
    assertThat(logged).isBetween(2300, 2700);
    for (int i = 0; i < 20; i++) {
      assertThat(
              model.wants(
                  Side.MODEL_INPUTS, "id-" + i, Parameters.copyOf(Map.of("header.x-log", "true"))))
          .isTrue();
      assertThat(
              model.wants(
                  Side.MODEL_INPUTS, "id-" + i, Parameters.copyOf(Map.of("header.x-log", "0"))))
          .isFalse();
    }
  }

  @Test
  void records_areSentInOrder_withCopiesOfTheirTensors() throws Exception {
    InferenceLogger model = model(start());
    for (int i = 0; i < 200; i++) {
      Records.log(model, "r" + i, i);
    }
    Await.until("all came", () -> sink.taken.size() == 400);
    for (int i = 0; i < 400; i++) {
      assertThat(sink.taken.get(i))
          .contains("\"id\":\"r" + i / 2 + "\"")
          .contains(i % 2 == 0 ? "\"inputs\"" : "\"outputs\"")
          .contains("\"data\":[" + i / 2 + ".0]");
    }
    assertThat(counts.of("accepted")).isEqualTo(400);
    Await.until("all are acknowledged", () -> counts.of("acknowledged") == 400);
    assertThat(model.holdings().bufferedBytes()).isZero();
    assertThat(model.holdings().lag()).isZero();
  }

  @Test
  void failures_haveTheirCode_unlessSwitchedOff() throws Exception {
    InferenceLogger model = model(start());
    model.log(Records.failed("a", new InferenceException(ErrorCode.DEADLINE_EXCEEDED, "late")));
    Await.until("it came", () -> sink.taken.size() == 1);
    assertThat(sink.taken.getFirst()).contains("\"code\":504,\"error\":\"late\"");
    model(loggers.getFirst(), "errors", false)
        .log(Records.failed("b", InferenceException.notFound("x")));
    Records.log(model, "c", 1);
    Await.until("the next came", () -> sink.taken.size() == 3);
    assertThat(sink.taken).noneMatch(text -> text.contains("\"b\""));
  }

  @Test
  void bestEffort_dropsAndCounts_whenTheSinkTakesNothing_withinItsBound() throws Exception {
    sink.behaviour = Behaviour.HOLD;
    InferenceLogger model = model(start("buffer", "128KB"));
    int count = 5000;
    for (int i = 0; i < count; i++) {
      Records.log(model, "r" + i, i);
      assertThat(model.holdings().bufferedBytes()).isLessThan(140 << 10);
    }
    assertThat(counts.of("BUFFER_FULL")).isPositive();
    assertThat(counts.of("BUFFER_FULL") + counts.of("accepted")).isEqualTo(2 * count);
    model.admit(); // serves on
    sink.behaviour = Behaviour.TAKE;
    Await.until(
        "all that was accepted came",
        () -> {
          sink.release();
          return counts.of("acknowledged") == counts.of("accepted");
        });
  }

  @Test
  void refusing_model_admitsNothingWhileItIsFull_andKeepsWhatItAdmitted() throws Exception {
    sink.behaviour = Behaviour.HOLD;
    InferenceLogger model =
        model(
            start("buffer", "128KB", "spool", directory.resolve("s"), "spool-size", "64KB"),
            "when-full",
            "refuse",
            "delivery",
            "at-least-once");
    int admitted = 0;
    InferenceException refusal = null;
    while (refusal == null && admitted < 100_000) {
      try {
        model.admit();
        Records.log(model, "r" + admitted++, 1);
      } catch (InferenceException e) {
        refusal = e;
      }
    }
    InferenceException refused = requireNonNull(refusal, "everything was admitted");
    assertThat(refused.code()).isEqualTo(ErrorCode.RESOURCE_EXHAUSTED);
    assertThat(refused.retryAfter()).isPresent();
    int all = admitted;
    sink.behaviour = Behaviour.TAKE;
    Await.until(
        "all that was admitted came",
        () -> {
          sink.release();
          return counts.of("acknowledged") == 2 * all;
        });
    assertThat(counts.dropped()).isZero();
    Await.until(
        "it admits again",
        () -> {
          try {
            model.admit();
            return true;
          } catch (InferenceException e) {
            return false;
          }
        });
  }

  @Test
  void fullSpool_dropsAndCounts() throws Exception {
    sink.behaviour = Behaviour.FAIL;
    InferenceLogger model =
        model(
            start("spool", directory.resolve("s"), "spool-size", "64KB"),
            "delivery",
            "at-least-once");
    for (int i = 0; i < 2000; i++) {
      Records.log(model, "r" + i, i);
    }
    Await.until("the rest is dropped", () -> counts.of("SPOOL_FULL") > 0);
    assertThat(model.holdings().spooledBytes()).isLessThanOrEqualTo(64 << 10);
    assertThat(model.holdings().lag()).isPositive();
  }

  @Test
  void atLeastOnce_sendsUntilItArrives_inOrder() throws Exception {
    sink.behaviour = Behaviour.FAIL;
    InferenceLogger model =
        model(start("spool", directory.resolve("s")), "delivery", "at-least-once");
    for (int i = 0; i < 50; i++) {
      Records.log(model, "r" + i, i);
    }
    Await.until("it has failed", () -> counts.of("sent") > 1);
    sink.behaviour = Behaviour.TAKE;
    Await.until("all came", () -> counts.of("acknowledged") == 100);
    assertThat(sink.taken)
        .extracting(text -> text.replaceAll(".*\"id\":\"(\\w+)\".*", "$1"))
        .containsExactlyElementsOf(IntStream.range(0, 100).mapToObj(i -> "r" + i / 2).toList());
    assertThat(counts.dropped()).isZero();
  }

  @Test
  void refusedMessage_isDroppedAndCounted_andTheNextGoes() throws Exception {
    sink.behaviour = Behaviour.REFUSE;
    InferenceLogger model =
        model(start("spool", directory.resolve("s")), "delivery", "at-least-once");
    Records.log(model, "a", 1);
    Await.until("it is dropped", () -> counts.of("TOO_LARGE") == 2);
    sink.behaviour = Behaviour.TAKE;
    Records.log(model, "b", 1);
    Await.until("the next came", () -> counts.of("acknowledged") == 2);
    assertThat(model.holdings().spooledBytes()).isZero();
  }

  @Test
  void closing_leavesInTheSpoolWhatWasNotSent_andTheNextStartSendsIt() throws Exception {
    sink.behaviour = Behaviour.FAIL;
    InferenceLogger logger = start("spool", directory.resolve("s"), "delivery", "at-least-once");
    InferenceLogger model = model(logger);
    for (int i = 0; i < 20; i++) {
      Records.log(model, "r" + i, i);
    }
    logger.close(Duration.ofMillis(300));
    loggers.clear();
    assertThat(counts.dropped()).isZero();
    sink.behaviour = Behaviour.TAKE;
    start("spool", directory.resolve("s"), "delivery", "at-least-once");
    Await.until("all came", () -> sink.taken.size() == 40);
    assertThat(sink.taken.getFirst()).contains("\"r0\"");
  }

  @Test
  void closing_bestEffort_sendsWhatItCan_andCountsTheRest() {
    sink.behaviour = Behaviour.HOLD;
    InferenceLogger logger = start();
    InferenceLogger model = model(logger);
    Records.log(model, "a", 1);
    logger.close(Duration.ofMillis(300));
    loggers.clear();
    assertThat(counts.of("acknowledged") + counts.of("CLOSED")).isEqualTo(2);
    Records.log(model, "late", 1);
    assertThat(counts.of("accepted")).isEqualTo(2);
  }

  @Test
  void largeTensors_areCopiedToThePool_andGivenBack() throws Exception {
    InferenceLogger model = model(start("payload-limit", "1MB"));
    try (TensorMap tensors =
        TensorMap.of("x", Tensor.copyOf(Shape.of(100_000), new float[100_000]))) {
      model.log(Records.record(Side.MODEL_INPUTS, "a", Map.of(), tensors, null));
    }
    Await.until("it came", () -> sink.taken.size() == 1);
    assertThat(sink.taken.getFirst()).hasSizeGreaterThan(400_000);
  }

  @Test
  void settings_thatDoNotGoTogether_areRefused() {
    assertThatThrownBy(() -> start("delivery", "at-least-once"))
        .hasMessageContaining("needs the setting logger-spool");
    assertThatThrownBy(() -> start("sink", "file", "format", "hopsworks-v4"))
        .hasMessageContaining("lines of text");
    assertThatThrownBy(() -> start("sink", "kafka", "format", "hopsworks-v4", "payload", "raw"))
        .hasMessageContaining("not text");
    assertThatThrownBy(() -> Records.start(counts, "sink", "carrier-pigeon"))
        .hasMessageContaining("one of file, http, kafka, stdout");
    assertThatThrownBy(() -> Records.start(counts, "sink", "kafka"))
        .hasMessageContaining("needs the setting logger-brokers");
    assertThatThrownBy(() ->
            Records.start(counts, "sink", "kafka", "brokers", "localhost:1", "kafka", "acks=most"))
        .hasMessageContaining("Kafka settings do not do");
    assertThatThrownBy(() -> Records.start(counts, "snik", "file"))
        .hasMessageContaining("did you mean 'sink'");
  }
}
