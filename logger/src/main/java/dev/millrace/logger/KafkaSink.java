package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.LogListener.DropReason;
import dev.millrace.logger.LogMessage.Header;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordBatchTooLargeException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends messages to Kafka. The producer retries by itself; after a failure that it cannot get over,
 * as having been refused by the broker, it is made anew before the next message.
 */
final class KafkaSink implements Sink {
  private static final Logger LOG = LoggerFactory.getLogger(KafkaSink.class);

  private final Map<String, Object> config;
  private final KafkaTopics topics;
  private final Map<String, Boolean> checked = new ConcurrentHashMap<>();
  private @Nullable Producer<byte[], byte[]> producer;
  private volatile boolean isSpent;

  KafkaSink(Map<String, Object> config, KafkaTopics topics) {
    this.config = Map.copyOf(config);
    this.topics = topics;
    this.producer = newProducer();
    this.isSpent = producer == null;
  }

  /**
   * A producer; null if the brokers' names are not known, which may pass.
   *
   * @throws InferenceException INVALID_ARGUMENT if the settings do not do
   */
  private @Nullable Producer<byte[], byte[]> newProducer() {
    try {
      return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    } catch (KafkaException e) {
      if (isUnresolvable(e)) {
        LOG.warn("Kafka's brokers cannot be found yet: {}", reason(e));
        return null;
      }
      throw InferenceException.invalidArgument(
          "the logger's Kafka settings do not do: " + reason(e));
    }
  }

  /** What is behind a failure to make a client: it is mostly wrapped. */
  static String reason(KafkaException e) {
    Throwable cause = e.getCause() == null ? e : e.getCause();
    return String.valueOf(cause.getMessage());
  }

  /** Whether a client could not be made because no name of a broker is known. */
  static boolean isUnresolvable(KafkaException e) {
    return reason(e).startsWith("No resolvable bootstrap");
  }

  @Override
  public void prepare(String topic) {
    if (topic.isEmpty()) {
      throw InferenceException.invalidArgument(
          "the logger's sink 'kafka' needs the setting logger-topic");
    }
    if (checked.putIfAbsent(topic, true) == null) {
      try {
        topics.check(topic);
      } catch (RuntimeException e) {
        checked.remove(topic);
        throw e;
      }
    }
  }

  @Override
  public void send(LogMessage message, Answer answer) throws SinkException {
    Producer<byte[], byte[]> sending = producer;
    if (sending == null) {
      throw SinkException.passing("the Kafka producer is closed", null);
    }
    try {
      var _ =
          sending.send(
              new ProducerRecord<>(
                  message.topic(),
                  null,
                  message.timeMillis(),
                  message.key(),
                  message.value(),
                  headers(message)),
              (metadata, failure) ->
                  answer.settled(failure == null ? null : failure(message, failure)));
    } catch (InterruptException e) {
      throw e; // has set the thread's flag again
    } catch (KafkaException | IllegalStateException e) {
      throw failure(message, e);
    }
  }

  private static RecordHeaders headers(LogMessage message) {
    List<Header> headers = message.headers();
    RecordHeader[] all = new RecordHeader[headers.size()];
    for (int i = 0; i < all.length; i++) {
      Header header = headers.get(i);
      all[i] = new RecordHeader(header.name(), header.value());
    }
    return new RecordHeaders(all);
  }

  private SinkException failure(LogMessage message, Exception failure) {
    String text =
        "Kafka did not take a message for %s: %s".formatted(message.topic(), failure.getMessage());
    return switch (failure) {
      case RecordTooLargeException _, RecordBatchTooLargeException _ ->
          SinkException.hopeless(text, failure, DropReason.TOO_LARGE);
      case SerializationException _, InvalidTopicException _ ->
          SinkException.hopeless(text, failure, DropReason.REFUSED);
      default -> {
        isSpent |= !(failure instanceof RetriableException);
        yield SinkException.passing(text, failure);
      }
    };
  }

  @Override
  public void recover() {
    if (!isSpent) {
      return;
    }
    isSpent = false;
    Producer<byte[], byte[]> spent = producer;
    producer = null;
    if (spent != null) {
      spent.close(Duration.ZERO);
    }
    LOG.info("connecting to Kafka anew");
    producer = newProducer();
    isSpent = producer == null;
  }

  @Override
  public void close(Duration grace) {
    Producer<byte[], byte[]> open = producer;
    producer = null;
    if (open != null) {
      open.close(grace);
    }
  }
}
