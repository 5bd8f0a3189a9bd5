package dev.millrace.distribution;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.InferenceLogger.InferenceRecord;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.api.spi.LoggerProvider;
import dev.millrace.runtime.Loggers;
import dev.millrace.runtime.Plugins;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The inference logger of the assembled layout, behind a class loader of its own. */
class LoggerIsolationTest {
  private static final Path HOME = Path.of(System.getProperty("millrace.home"));

  @TempDir private Path directory;
  private final List<LoggerProvider> providers = Plugins.inFolder(HOME.resolve("logger")).loggers();

  private InferenceLogger start(Map<String, Object> settings) {
    return Loggers.start(
        providers,
        Optional.empty(),
        Settings.of("test", settings),
        Map.of(),
        new SimpleMeterRegistry());
  }

  @Test
  void logger_hasItsLibrariesToItself() throws Exception {
    ClassLoader plugin = providers.getFirst().getClass().getClassLoader();
    for (String library :
        List.of(
            "org.apache.kafka.clients.producer.KafkaProducer",
            "org.apache.avro.Schema",
            "tools.jackson.core.JsonGenerator")) {
      assertThat(plugin.loadClass(library).getClassLoader()).isSameAs(plugin);
    }
    assertThat(plugin.loadClass(InferenceLogger.class.getName())).isSameAs(InferenceLogger.class);
    assertThatThrownBy(() -> plugin.loadClass(Loggers.class.getName()))
        .isInstanceOf(ClassNotFoundException.class);
  }

  /** Kafka's client finds its own classes by the thread's loader, and Avro its schema's parser. */
  @Test
  void everyPart_isThere() throws Exception {
    InferenceLogger kafka =
        start(
            Map.of(
                "sink",
                "kafka",
                "brokers",
                "localhost:1",
                "topic",
                "t",
                "format",
                "hopsworks-v4",
                "topic-check",
                "200ms",
                "kafka",
                "max.block.ms=200"));
    log(kafka.forModel(new ModelId("m", "1"), Settings.empty("test")));
    kafka.close(Duration.ofMillis(500));
    Path file = directory.resolve("log");
    InferenceLogger lines = start(Map.of("sink", "file", "file", file.toString()));
    log(lines.forModel(new ModelId("m", "1"), Settings.empty("test")));
    lines.close(Duration.ofSeconds(5));
    assertThat(Files.readString(file)).contains("\"data\":[1.0]");
  }

  private static void log(InferenceLogger logger) {
    try (TensorMap tensors = TensorMap.of("x", Tensor.copyOf(Shape.of(1), 1f))) {
      logger.log(
          new InferenceRecord(
              Side.MODEL_INPUTS,
              "id",
              new ModelId("m", "1"),
              Instant.EPOCH,
              Parameters.empty(),
              tensors,
              null));
    }
  }
}
