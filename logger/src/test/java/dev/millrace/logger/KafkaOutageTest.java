package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LogListener;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** With brokers that come and go, or let nobody in. */
@Timeout(240)
class KafkaOutageTest {
  private static final String QUICK =
      "max.block.ms=1000;reconnect.backoff.max.ms=200;retry.backoff.max.ms=200;"
          + "request.timeout.ms=2000;metadata.max.age.ms=2000";

  @TempDir private Path directory;
  private final Records.Counts counts = new Records.Counts();
  private final List<AutoCloseable> open = new ArrayList<>();

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
  }

  private KafkaBroker broker(Map<String, String> config) {
    KafkaBroker broker = KafkaBroker.started(directory.resolve("broker"), config);
    open.add(broker);
    return broker;
  }

  private InferenceLogger start(KafkaBroker broker, LogListener listener, Object... more) {
    Object[] settings = new Object[more.length + 12];
    System.arraycopy(
        new Object[] {
          "sink",
          "kafka",
          "brokers",
          broker.address(),
          "topic",
          "log",
          "key",
          "model",
          "spool",
          directory.resolve("spool"),
          "kafka",
          QUICK
        },
        0,
        settings,
        0,
        12);
    System.arraycopy(more, 0, settings, 12, more.length);
    InferenceLogger logger = Records.start(listener, settings);
    open.add(() -> logger.close(Duration.ofSeconds(2)));
    return logger;
  }

  private static InferenceLogger model(InferenceLogger logger) {
    return logger.forModel(new ModelId("m", "3"), Records.settings());
  }

  /** How often each id and side came, in the order in which they came first. */
  private static Map<String, Integer> arrivals(List<ConsumerRecord<byte[], byte[]>> records) {
    Map<String, Integer> arrivals = new LinkedHashMap<>();
    for (ConsumerRecord<byte[], byte[]> record : records) {
      String id = new String(record.headers().lastHeader("ce_id").value(), UTF_8);
      String type = new String(record.headers().lastHeader("ce_type").value(), UTF_8);
      arrivals.merge(id + (type.endsWith("request") ? "?" : "!"), 1, Integer::sum);
    }
    return arrivals;
  }

  private static List<String> expected(int count) {
    return IntStream.range(0, 2 * count).mapToObj(i -> i / 2 + (i % 2 == 0 ? "?" : "!")).toList();
  }

  @Test
  void brokerStoppedAndStartedUnderLoad_losesNothing_andKeepsTheOrder() throws Exception {
    KafkaBroker broker = broker(Map.of());
    broker.createTopic("log");
    InferenceLogger model = model(start(broker, counts, "delivery", "at-least-once"));
    int count = 0;
    for (int outage = 0; outage < 2; outage++) {
      for (int i = 0; i < 2000; i++) {
        Records.log(model, Integer.toString(count++), 1);
      }
      broker.stop();
      for (int i = 0; i < 2000; i++) {
        Records.log(model, Integer.toString(count++), 1);
        if (i % 20 == 0) {
          Thread.sleep(5);
        }
      }
      assertThat(model.holdings().spooledBytes()).isPositive();
      broker.start();
    }
    int all = count;
    Await.until(
        "the spool is empty",
        () -> model.holdings().spooledBytes() == 0 && counts.of("acknowledged") >= 2 * all);
    Map<String, Integer> arrivals = arrivals(broker.read("log", 2 * all));
    assertThat(counts.dropped()).isZero();
    assertThat(counts.of("accepted")).isEqualTo(2 * all);
    assertThat(List.copyOf(arrivals.keySet())).isEqualTo(expected(all));
    long duplicates = arrivals.values().stream().mapToInt(times -> times - 1).sum();
    System.out.printf("broker restarts: %d records, %d duplicates%n", 2 * all, duplicates);
  }

  @Test
  void brokerUnreachableAtTheStart_isWaitedFor() throws Exception {
    KafkaBroker broker = KafkaBroker.stopped(directory.resolve("broker"), Map.of());
    open.add(broker);
    InferenceLogger model =
        model(start(broker, counts, "delivery", "at-least-once", "topic-check", "500ms"));
    for (int i = 0; i < 100; i++) {
      Records.log(model, Integer.toString(i), 1);
    }
    Await.until("they are in the spool", () -> model.holdings().spooledBytes() > 0);
    broker.start();
    broker.createTopic("log");
    Await.until("all went", () -> counts.of("acknowledged") >= 200);
    assertThat(List.copyOf(arrivals(broker.read("log", 200)).keySet())).isEqualTo(expected(100));
  }

  @Test
  void brokersWhoseNameIsNotKnown_areWaitedFor() throws Exception {
    InferenceLogger logger =
        Records.start(
            counts,
            "sink",
            "kafka",
            "brokers",
            "nowhere.invalid:9092",
            "topic",
            "log",
            "spool",
            directory.resolve("spool"),
            "delivery",
            "at-least-once");
    open.add(() -> logger.close(Duration.ZERO));
    InferenceLogger model = model(logger);
    Records.log(model, "0", 1);
    Await.until("it was tried more than once", () -> counts.of("sent") > 2);
    assertThat(model.holdings().spooledBytes()).isPositive();
    assertThat(counts.dropped()).isZero();
  }

  @Test
  void bestEffort_dropsWhatIsNotSentInTime() throws Exception {
    KafkaBroker broker = broker(Map.of());
    broker.createTopic("log");
    InferenceLogger logger =
        start(broker, counts, "kafka", QUICK + ";delivery.timeout.ms=3000;linger.ms=0");
    InferenceLogger model = model(logger);
    Records.log(model, "0", 1);
    Await.until("it went", () -> counts.of("acknowledged") == 2);
    broker.stop();
    Records.log(model, "1", 1);
    Await.until("it is given up", () -> counts.of("NOT_SENT") == 2);
    broker.start();
    Records.log(model, "2", 1);
    Await.until("the next went", () -> counts.of("acknowledged") == 4);
    assertThat(arrivals(broker.read("log", 4)).keySet()).containsExactly("0?", "0!", "2?", "2!");
  }

  @Test
  void userWhoMayNot_isAClearError_andOneWhoMayIsLetIn() throws Exception {
    KafkaBroker broker =
        broker(
            Map.of(
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users",
                "User:ANONYMOUS"));
    broker.createTopic("log");
    assertThatThrownBy(() -> start(broker, counts, secured(broker, "wrong")))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("let nobody in as told: Authentication failed");
    assertThatThrownBy(() -> start(broker, counts, secured(broker, "secret")))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("not authorised for the topic 'log'");
    allow(broker, AclOperation.DESCRIBE);
    Await.until(
        "it is said that it may not be written to",
        () -> refusal(broker).contains("the topic 'log' must not be written to"));
    allow(broker, AclOperation.WRITE);
    Await.until("it is let in", () -> refusal(broker).isEmpty());
    InferenceLogger model = model(start(broker, counts, secured(broker, "secret")));
    Records.log(model, "0", 1);
    assertThat(broker.read("log", 2)).hasSize(2);
  }

  /** What a start says; nothing if all is well. */
  private String refusal(KafkaBroker broker) {
    try {
      start(broker, counts, secured(broker, "secret")).close();
      return "";
    } catch (InferenceException e) {
      return e.getMessage();
    }
  }

  private static Object[] secured(KafkaBroker broker, String password) {
    return new Object[] {
      "brokers",
      broker.passwordAddress(),
      "kafka",
      Map.of(
          "security.protocol",
          "SASL_PLAINTEXT",
          "sasl.mechanism",
          "PLAIN",
          "sasl.jaas.config",
          "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"logger\""
              + " password=\"%s\";".formatted(password))
    };
  }

  private static void allow(KafkaBroker broker, AclOperation operation) throws Exception {
    try (Admin admin = broker.admin()) {
      admin
          .createAcls(
              List.of(
                  new AclBinding(
                      new ResourcePattern(ResourceType.TOPIC, "log", PatternType.LITERAL),
                      new AccessControlEntry(
                          "User:logger", "*", operation, AclPermissionType.ALLOW))))
          .all()
          .get();
    }
  }

  @Test
  void serverKilledDuringAnOutage_losesNothingThatWasInTheSpool() throws Exception {
    KafkaBroker broker = broker(Map.of());
    broker.createTopic("log");
    ProcessBuilder command =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            System.getProperty("java.class.path"),
            Serving.class.getName(),
            broker.address(),
            directory.toString());
    command.redirectError(ProcessBuilder.Redirect.INHERIT);
    Process process = command.start();
    LoggedServer server = LoggedServer.at(port(process), process);
    open.add(server);
    AtomicInteger answered = new AtomicInteger();
    AtomicInteger safe = new AtomicInteger();
    Thread client = Thread.startVirtualThread(() -> askUntilItEnds(server, answered, safe));
    Await.until("some are sent", () -> safe.get() >= 500);
    broker.stop(); // while it is asked
    int before = safe.get();
    Await.until("more are in the spool", () -> safe.get() >= before + 1000);
    process.toHandle().destroyForcibly(); // SIGKILL, while it is asked and the broker is away
    assertThat(process.waitFor()).isNotZero();
    client.join();
    broker.start();
    InferenceLogger model = model(start(broker, counts, "delivery", "at-least-once"));
    Await.until("the spool is empty", () -> model.holdings().spooledBytes() == 0);
    Map<String, Integer> arrivals = arrivals(broker.read("log", 2 * safe.get()));
    List<String> came = List.copyOf(arrivals.keySet());
    assertThat(came.size()).isGreaterThanOrEqualTo(2 * safe.get());
    assertThat(came.subList(0, 2 * safe.get())).isEqualTo(expected(safe.get()));
    assertThat(counts.dropped()).isZero();
    System.out.printf(
        "killed: %d requests were answered and %d safe, of which %d before the outage; %d records"
            + " arrived, %d duplicates%n",
        answered.get(),
        safe.get(),
        before,
        came.size(),
        arrivals.values().stream().mapToInt(times -> times - 1).sum());
  }

  private static int port(Process process) throws IOException {
    BufferedReader lines = process.inputReader(UTF_8);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.startsWith("port ")) {
        return Integer.parseInt(line.substring(5));
      }
    }
    throw new AssertionError("the server has ended");
  }

  /** Asks under the ids 0, 1, …; now and then waits until all that was logged is in the spool. */
  private static void askUntilItEnds(
      LoggedServer server, AtomicInteger answered, AtomicInteger safe) {
    try {
      while (server.infer(Integer.toString(answered.get())) == 200) {
        if (answered.incrementAndGet() % 50 == 0) {
          while (server.metric("buffered_bytes") > 0) {
            Thread.sleep(1);
          }
          safe.set(answered.get()); // out of the queue is in the file
        }
      }
    } catch (IOException e) {
      // it was killed
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Another process, which serves and logs. */
  static final class Serving {
    private Serving() {}

    public static void main(String[] args) throws Exception {
      Map<String, Object> settings = new HashMap<>();
      settings.put("sink", "kafka");
      settings.put("brokers", args[0]);
      settings.put("spool", Path.of(args[1], "spool").toString());
      settings.put("topic", "log");
      settings.put("key", "model");
      settings.put("kafka", QUICK);
      settings.put("delivery", "at-least-once");
      System.out.println("port " + LoggedServer.start(Path.of(args[1]), settings).port());
      System.out.flush();
      Thread.currentThread().join();
    }
  }
}
