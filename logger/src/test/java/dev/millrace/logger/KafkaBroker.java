package dev.millrace.logger;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.jspecify.annotations.Nullable;

/**
 * A Kafka broker in this process, which is its own controller, on ports that stay the same when it
 * is stopped and started again.
 */
final class KafkaBroker implements AutoCloseable {
  private final Path directory;
  private final int port;
  private final int controllerPort;
  private final int passwordPort;
  private final Map<String, String> more;

  /** Where it tells clients to come. */
  private String advertised;

  private @Nullable KafkaRaftServer server;

  private KafkaBroker(Path directory, Map<String, String> more) {
    this.directory = directory;
    this.more = more;
    try (ServerSocket one = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        ServerSocket two = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        ServerSocket three = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = one.getLocalPort();
      controllerPort = two.getLocalPort();
      passwordPort = three.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    advertised = "localhost:" + port;
  }

  /** A broker that is not started. */
  static KafkaBroker stopped(Path directory, Map<String, String> more) {
    KafkaBroker broker = new KafkaBroker(directory, more);
    try (PrintStream quiet =
        new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8)) {
      new Formatter()
          .setPrintStream(quiet)
          .setNodeId(1)
          .setClusterId(Uuid.randomUuid().toString())
          .setControllerListenerName("CONTROLLER")
          .setMetadataLogDirectory(directory.toString())
          .addDirectory(directory.toString())
          .run();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
    return broker;
  }

  static KafkaBroker started(Path directory) {
    return started(directory, Map.of());
  }

  static KafkaBroker started(Path directory, Map<String, String> more) {
    KafkaBroker broker = stopped(directory, more);
    broker.start();
    return broker;
  }

  /** A broker that all its clients come to over {@code link}. */
  static KafkaBroker behind(SlowLink link, Path directory) {
    KafkaBroker broker = stopped(directory, Map.of());
    link.to(broker.port);
    broker.advertised = link.address();
    broker.start();
    return broker;
  }

  void start() {
    Properties config = new Properties();
    config.put("process.roles", "broker,controller");
    config.put("node.id", "1");
    config.put("controller.quorum.voters", "1@localhost:" + controllerPort);
    config.put(
        "listeners",
        "PLAINTEXT://localhost:%d,PASSWORD://localhost:%d,CONTROLLER://localhost:%d"
            .formatted(port, passwordPort, controllerPort));
    config.put(
        "advertised.listeners",
        "PLAINTEXT://%s,PASSWORD://localhost:%d".formatted(advertised, passwordPort));
    config.put(
        "listener.security.protocol.map",
        "PLAINTEXT:PLAINTEXT,PASSWORD:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT");
    config.put("listener.name.password.sasl.enabled.mechanisms", "PLAIN");
    config.put(
        "listener.name.password.plain.sasl.jaas.config",
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_logger=\"secret\";");
    config.put("controller.listener.names", "CONTROLLER");
    config.put("inter.broker.listener.name", "PLAINTEXT");
    config.put("log.dirs", directory.toString());
    config.put("offsets.topic.replication.factor", "1");
    config.put("offsets.topic.num.partitions", "1");
    config.put("transaction.state.log.replication.factor", "1");
    config.put("transaction.state.log.min.isr", "1");
    config.put("share.coordinator.state.topic.replication.factor", "1");
    config.put("share.coordinator.state.topic.min.isr", "1");
    config.put("group.initial.rebalance.delay.ms", "0");
    config.put("auto.create.topics.enable", "false");
    config.put("controlled.shutdown.enable", "false");
    config.put("log.cleaner.enable", "false");
    config.put("num.network.threads", "1");
    config.put("num.io.threads", "2");
    config.put("background.threads", "1");
    more.forEach(config::put);
    KafkaRaftServer starting =
        new KafkaRaftServer(KafkaConfig.fromProps(config, false), Time.SYSTEM);
    starting.startup();
    server = starting;
  }

  void stop() {
    KafkaRaftServer running = server;
    server = null;
    if (running != null) {
      running.shutdown();
      running.awaitShutdown();
    }
  }

  String address() {
    return "localhost:" + port;
  }

  /** Where the user {@code logger} has to say {@code secret}. */
  String passwordAddress() {
    return "localhost:" + passwordPort;
  }

  private Map<String, Object> client() {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", address());
    return config;
  }

  Admin admin() {
    return Admin.create(client());
  }

  void createTopic(String name, int partitions, Map<String, String> config) throws Exception {
    try (Admin admin = admin()) {
      admin
          .createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(config)))
          .all()
          .get();
    }
  }

  void createTopic(String name) throws Exception {
    createTopic(name, 1, Map.of());
  }

  void deleteTopic(String name) throws Exception {
    try (Admin admin = admin()) {
      admin.deleteTopics(List.of(name)).all().get();
    }
  }

  /** All messages of a topic's partitions, from the first on; at least {@code count}, or fails. */
  List<ConsumerRecord<byte[], byte[]>> read(String topic, int count) {
    Map<String, Object> config = client();
    config.put("auto.offset.reset", "earliest");
    config.put("enable.auto.commit", "false");
    List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(info -> new TopicPartition(topic, info.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (true) {
        consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        boolean all =
            partitions.stream()
                .allMatch(each -> consumer.position(each) >= ends.getOrDefault(each, 0L));
        if (all && records.size() >= count) {
          return records;
        }
        if (System.nanoTime() - end > 0) {
          throw new AssertionError("%d messages of %d came".formatted(records.size(), count));
        }
      }
    }
  }

  @Override
  public void close() {
    stop();
  }
}
