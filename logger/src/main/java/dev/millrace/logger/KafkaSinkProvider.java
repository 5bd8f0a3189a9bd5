package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.ProducerConfig;

/**
 * Kafka. {@code brokers} is where to find it, and everything under {@code kafka} goes to the client
 * as it is and wins over what stands here: security, compression, time-outs.
 */
public final class KafkaSinkProvider implements SinkProvider {
  private static final AtomicInteger CLIENTS = new AtomicInteger();

  /** Made by the service loader. */
  public KafkaSinkProvider() {}

  @Override
  public String name() {
    return "kafka";
  }

  @Override
  public Sink open(Settings settings, Map<String, String> environment, boolean promised) {
    Map<String, Object> producer = new LinkedHashMap<>();
    settings
        .string("brokers")
        .ifPresent(brokers -> producer.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers));
    producer.put(ProducerConfig.CLIENT_ID_CONFIG, "millrace-logger-" + CLIENTS.incrementAndGet());
    producer.put(ProducerConfig.ACKS_CONFIG, "all");
    producer.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, "true");
    producer.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
    // Few large batches cost a broker far less than many small ones, and nobody waits for a log.
    producer.put(ProducerConfig.LINGER_MS_CONFIG, "100");
    producer.put(ProducerConfig.BATCH_SIZE_CONFIG, Integer.toString(512 << 10));
    producer.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, "5000");
    // What is promised is never given up, so that nothing overtakes it.
    producer.put(
        ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
        promised ? Integer.toString(Integer.MAX_VALUE) : "120000");
    Map<String, Object> own = kafka(settings);
    producer.putAll(own);
    if (!producer.containsKey(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG)) {
      throw InferenceException.invalidArgument(
          "the logger's sink 'kafka' needs the setting logger-brokers, as in kafka:9092");
    }
    return new KafkaSink(
        producer,
        new KafkaTopics(
            admin(producer, own),
            settings.bool("topic-create").orElse(false),
            settings.integer("topic-partitions", 1, 10_000).orElse(1),
            settings.integer("topic-replicas", 1, 100).orElse(1),
            settings.duration("topic-check").orElse(Duration.ofSeconds(5))));
  }

  /** The section, or a text of {@code key=value} with semicolons between. */
  private static Map<String, Object> kafka(Settings settings) {
    Map<String, Object> own = new LinkedHashMap<>();
    Object value = settings.value("kafka").orElse(Map.of());
    if (value instanceof Map<?, ?> map) {
      map.forEach((key, each) -> own.put(String.valueOf(key), String.valueOf(each)));
      return own;
    }
    for (String pair : value.toString().split("(?<!\\\\);", -1)) {
      int equals = pair.indexOf('=');
      if (equals >= 1) {
        own.put(
            pair.substring(0, equals).strip(),
            pair.substring(equals + 1).replace("\\;", ";").strip());
      } else if (!pair.isBlank()) {
        throw settings.bad("kafka", value, "a section, or key=value;key=value");
      }
    }
    return own;
  }

  /** What an admin client needs to know of it: where the brokers are, and how to be let in. */
  private static Map<String, Object> admin(Map<String, Object> producer, Map<String, Object> own) {
    Map<String, Object> admin = new LinkedHashMap<>();
    own.forEach((key, value) -> {
      if (key.startsWith("security.") || key.startsWith("sasl.") || key.startsWith("ssl.")) {
        admin.put(key, value);
      }
    });
    admin.put(
        ProducerConfig.BOOTSTRAP_SERVERS_CONFIG,
        String.valueOf(producer.get(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG)));
    admin.put(
        ProducerConfig.CLIENT_ID_CONFIG, producer.get(ProducerConfig.CLIENT_ID_CONFIG) + "-topics");
    return admin;
  }
}
