package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.InferenceLogger.InferenceRecord;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.api.spi.LogListener;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Records, settings and loggers for tests. */
final class Records {
  static final Instant TIME = Instant.parse("2026-01-02T03:04:05.678Z");

  private Records() {}

  static Settings settings(Object... keysAndValues) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      values.put(keysAndValues[i].toString(), keysAndValues[i + 1]);
    }
    return Settings.of("test", values);
  }

  static InferenceRecord inputs(String id, Map<String, ?> parameters, TensorMap tensors) {
    return record(Side.MODEL_INPUTS, id, parameters, tensors, null);
  }

  static InferenceRecord outputs(String id, Map<String, ?> parameters, TensorMap tensors) {
    return record(Side.PREDICTIONS, id, parameters, tensors, null);
  }

  static InferenceRecord failed(String id, InferenceException error) {
    return record(Side.PREDICTIONS, id, Map.of(), TensorMap.empty(), error);
  }

  static InferenceRecord record(
      Side side,
      String id,
      Map<String, ?> parameters,
      TensorMap tensors,
      @Nullable InferenceException error) {
    return new InferenceRecord(
        side, id, new ModelId("m", "3"), TIME, Parameters.copyOf(parameters), tensors, error);
  }

  /** Two rows of two numbers. */
  static TensorMap floats() {
    return TensorMap.of("x", Tensor.copyOf(Shape.of(2, 2), 1f, 2.5f, -3f, 4f));
  }

  static CapturedRecord capture(InferenceRecord record, Object... settings) {
    try (TensorMap _ = record.tensors()) {
      return CapturedRecord.of(
          record,
          CapturedRecord.Layout.NONE.of(record.tensors()),
          ModelSettings.defaults(MessageFormat.JSON).with(settings(settings)));
    }
  }

  static InferenceLogger start(LogListener listener, Object... keysAndValues) {
    return new MillraceLoggerProvider().start(settings(keysAndValues), Map.of(), listener);
  }

  /** Logs an inference of the model {@code m} whose input and output are one number. */
  static void log(InferenceLogger logger, String id, float number) {
    for (Side side : Side.values()) {
      try (TensorMap tensors = TensorMap.of("x", Tensor.copyOf(Shape.of(1), number))) {
        InferenceRecord record = record(side, id, Map.of(), tensors, null);
        if (logger.wants(side, id, record.parameters())) {
          logger.log(record);
        }
      }
    }
  }

  /** Counts what happens. */
  static final class Counts implements LogListener {
    private final Map<String, Integer> counts = new HashMap<>();

    private void count(String what) {
      count(what, 1);
    }

    private synchronized void count(String what, int times) {
      counts.merge(what, times, Integer::sum);
    }

    synchronized int of(String what) {
      return counts.getOrDefault(what, 0);
    }

    int dropped() {
      int sum = 0;
      for (DropReason reason : DropReason.values()) {
        sum += of(reason.name());
      }
      return sum;
    }

    @Override
    public void accepted(String model) {
      count("accepted");
    }

    @Override
    public void sent(String model, int count) {
      count("sent", count);
    }

    @Override
    public void acknowledged(String model, int count, long nanos) {
      count("acknowledged", count);
    }

    @Override
    public void dropped(String model, DropReason reason) {
      count(reason.name());
    }

    @Override
    public synchronized String toString() {
      return counts.toString();
    }
  }

  static List<String> texts(List<LogMessage> messages) {
    return messages.stream()
        .map(message -> new String(message.value(), java.nio.charset.StandardCharsets.UTF_8))
        .toList();
  }
}
