package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.InferenceLogger.Side;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Against a broker that runs all the time. */
@Timeout(180)
class KafkaTest {
  @TempDir private static Path brokerDirectory;
  private static KafkaBroker broker;

  @TempDir private Path directory;
  private final Records.Counts counts = new Records.Counts();
  private final List<InferenceLogger> loggers = new ArrayList<>();

  @BeforeAll
  static void startBroker() {
    broker = KafkaBroker.started(brokerDirectory);
  }

  @AfterAll
  static void stopBroker() {
    broker.close();
  }

  @AfterEach
  void closeLoggers() {
    loggers.forEach(logger -> logger.close(Duration.ofSeconds(5)));
  }

  private InferenceLogger start(Object... more) {
    Object[] settings = new Object[more.length + 4];
    settings[0] = "sink";
    settings[1] = "kafka";
    settings[2] = "brokers";
    settings[3] = broker.address();
    System.arraycopy(more, 0, settings, 4, more.length);
    InferenceLogger logger = Records.start(counts, settings);
    loggers.add(logger);
    return logger;
  }

  private static InferenceLogger model(InferenceLogger logger, Object... section) {
    return logger.forModel(new ModelId("m", "3"), Records.settings(section));
  }

  private static String header(ConsumerRecord<?, ?> record, String name) {
    Header header = record.headers().lastHeader(name);
    return header == null ? "" : new String(header.value(), UTF_8);
  }

  @Test
  void hopsworksV4_isReadBack_fieldByField() throws Exception {
    broker.createTopic("v4");
    InferenceLogger logger = start("topic", "v4", "format", "hopsworks-v4", "serving-id", 7);
    InferenceLogger model = model(logger);
    for (int i = 0; i < 100; i++) {
      Records.log(model, "id-" + i, i);
    }
    List<ConsumerRecord<byte[], byte[]>> records = broker.read("v4", 200);
    assertThat(records).hasSize(200);
    GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(HopsworksFormat.V4);
    for (int i = 0; i < 200; i++) {
      assertThat(records.get(i).key()).isNull();
      GenericRecord fields =
          reader.read(null, DecoderFactory.get().binaryDecoder(records.get(i).value(), null));
      assertThat(fields.get("inferenceId")).hasToString("id-" + i / 2);
      assertThat(fields.get("messageType")).hasToString(i % 2 == 0 ? "request" : "response");
      assertThat(fields.get("servingId")).isEqualTo(7);
      assertThat(fields.get("payload"))
          .asString()
          .contains(i % 2 == 0 ? "\"inputs\"" : "\"outputs\"")
          .contains("\"data\":[" + i / 2 + ".0]");
    }
    Await.until("all are acknowledged", () -> counts.of("acknowledged") == 200);
  }

  @Test
  void cloudEvents_haveTheirHeaders_andAreKeyedById() throws Exception {
    broker.createTopic("events", 3, Map.of());
    InferenceLogger model = model(start("topic", "events"));
    for (int i = 0; i < 20; i++) {
      Records.log(model, "id-" + i, i);
    }
    List<ConsumerRecord<byte[], byte[]>> records = broker.read("events", 40);
    assertThat(records).hasSize(40).extracting(ConsumerRecord::partition).contains(0, 1, 2);
    for (ConsumerRecord<byte[], byte[]> record : records) {
      assertThat(new String(record.key(), UTF_8)).isEqualTo(header(record, "ce_id"));
      assertThat(header(record, "ce_type")).startsWith("org.kubeflow.serving.inference.re");
      assertThat(header(record, "content-type")).isEqualTo("application/json");
      assertThat(header(record, "millrace-model")).isEqualTo("m");
      assertThat(record.timestamp()).isEqualTo(Records.TIME.toEpochMilli());
    }
  }

  @Test
  void otherFormats_andTopicsByModel_arrive() throws Exception {
    broker.createTopic("log-m");
    InferenceLogger logger = start("topic", "log-{model}");
    for (String format : List.of("json", "protobuf", "cloudevents-structured", "hopsworks-v3")) {
      Records.log(model(logger, "format", format), format, 1);
    }
    List<ConsumerRecord<byte[], byte[]>> records = broker.read("log-m", 7);
    assertThat(records).hasSize(7); // version 3 has one for both sides
    assertThat(records)
        .extracting(record -> header(record, "content-type").replaceAll(";.*", ""))
        .containsExactly(
            "application/json",
            "application/json",
            "application/x-protobuf",
            "application/x-protobuf",
            "application/cloudevents+json",
            "application/cloudevents+json",
            "avro/binary");
  }

  @Test
  void missingTopic_isAClearError_orIsMade() throws Exception {
    assertThatThrownBy(() -> start("topic", "missing"))
        .isInstanceOfSatisfying(
            InferenceException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessageContaining("the topic 'missing' does not exist on " + broker.address());
    InferenceLogger model =
        model(start("topic", "made", "topic-create", true, "topic-partitions", 2));
    Records.log(model, "a", 1);
    assertThat(broker.read("made", 2)).hasSize(2);
    assertThatThrownBy(() -> start("topic", "not a name"))
        .hasMessageContaining("is not the name of a topic");
    assertThatThrownBy(() -> model(start("topic", "made"), "topic", "absent"))
        .hasMessageContaining("'absent' does not exist");
    assertThatThrownBy(() -> model(start())).hasMessageContaining("needs the setting logger-topic");
  }

  @Test
  void recordTooLarge_isDropped_andTheOthersGo() throws Exception {
    broker.createTopic("small", 1, Map.of("max.message.bytes", "10000"));
    for (boolean promised : new boolean[] {false, true}) {
      InferenceLogger model =
          model(
              start(
                  "topic",
                  "small",
                  "spool",
                  directory.resolve("s"),
                  "kafka",
                  "compression.type=none;linger.ms=0"),
              "delivery",
              promised ? "at-least-once" : "best-effort");
      int before = counts.of("TOO_LARGE");
      Records.log(model, "a-" + promised, 1);
      Await.until("it went", () -> model.holdings().equals(InferenceLogger.Holdings.NONE));
      try (TensorMap large =
          TensorMap.of("x", Tensor.copyOf(Shape.of(10_000), new float[10_000]))) {
        model.log(Records.record(Side.MODEL_INPUTS, "large", Map.of(), large, null));
      }
      Await.until("it is dropped", () -> counts.of("TOO_LARGE") == before + 1);
      Records.log(model, "b-" + promised, 1);
      Await.until("the next went", () -> model.holdings().equals(InferenceLogger.Holdings.NONE));
    }
    assertThat(ids(broker.read("small", 8)))
        .containsExactly("a-false", "b-false", "a-true", "b-true");
  }

  @Test
  void deletedTopic_isWaitedFor_whereDeliveryIsPromised() throws Exception {
    broker.createTopic("gone");
    InferenceLogger model =
        model(
            start(
                "topic",
                "gone",
                "spool",
                directory.resolve("s"),
                "key",
                "model",
                "kafka",
                "max.block.ms=500;metadata.max.age.ms=500;retry.backoff.max.ms=200"),
            "delivery",
            "at-least-once");
    Records.log(model, "before", 1);
    Await.until("it went", () -> counts.of("acknowledged") == 2);
    broker.deleteTopic("gone");
    for (int i = 0; i < 10; i++) {
      Records.log(model, "after-" + i, 1);
    }
    Await.until("it is in the spool", () -> model.holdings().spooledBytes() > 0);
    broker.createTopic("gone");
    Await.until("all went", () -> counts.of("acknowledged") >= 22);
    assertThat(ids(broker.read("gone", 20))).contains("after-0", "after-9");
    assertThat(counts.dropped()).isZero();
  }

  /** Ids in the order in which they came first. */
  static Set<String> ids(List<ConsumerRecord<byte[], byte[]>> records) {
    Set<String> ids = new LinkedHashSet<>();
    records.forEach(record -> ids.add(header(record, "ce_id")));
    return ids;
  }
}
