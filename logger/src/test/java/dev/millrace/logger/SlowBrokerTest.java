package dev.millrace.logger;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A broker that takes far less than comes does not slow serving, and costs no more than is set. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(240)
class SlowBrokerTest {
  private static final long BUFFER = 256 << 10;
  private static final int SLOW = 100_000;

  @TempDir private Path directory;
  private final List<AutoCloseable> open = new ArrayList<>();
  private final SlowLink link = new SlowLink();

  /** Requests sent so far. */
  private int sent;

  private long mostBuffered;

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
    link.close();
  }

  private KafkaBroker broker() throws Exception {
    KafkaBroker broker = KafkaBroker.behind(link, directory.resolve("broker"));
    open.add(broker);
    broker.createTopic("log");
    return broker;
  }

  private LoggedServer serve(Map<String, Object> more) throws Exception {
    Map<String, Object> settings = new HashMap<>(more);
    settings.put("sink", "kafka");
    settings.put("brokers", link.address());
    settings.put("topic", "log");
    settings.put("buffer", Long.toString(BUFFER));
    settings.put("kafka", "compression.type=none;linger.ms=5");
    LoggedServer server = LoggedServer.start(directory, settings);
    open.add(server);
    return server;
  }

  /** Asks so often, one after the other; how long each took, in nanoseconds, sorted. */
  private long[] ask(LoggedServer server, int count) throws Exception {
    long[] nanos = new long[count];
    for (int i = 0; i < count; i++) {
      long start = System.nanoTime();
      assertThat(server.infer("r" + sent++)).isEqualTo(200);
      nanos[i] = System.nanoTime() - start;
      if (i % 50 == 0) {
        mostBuffered = Math.max(mostBuffered, server.metric("buffered_bytes"));
      }
    }
    Arrays.sort(nanos);
    return nanos;
  }

  /** Asks over a wide and over a narrow link, and compares. */
  private void askOverASlowLink(LoggedServer server) throws Exception {
    long[] _ = ask(server, 1000); // to warm up
    long[] wide = ask(server, 1000);
    Await.until(
        "all went",
        () -> server.metric("acknowledged_total") + server.metric("dropped_total") == 2L * sent);
    link.limit(SLOW);
    long[] narrow = ask(server, 2000);
    System.out.printf(
        "slow broker: p50 %d us, %d us before; p99 %d us, %d us before; most buffered %d bytes%n",
        narrow[1000] / 1000, wide[500] / 1000, narrow[1980] / 1000, wide[990] / 1000, mostBuffered);
    assertThat(narrow[1000]).isLessThan(10 * wide[500]);
    assertThat(narrow[1980]).isLessThan(10 * wide[990]);
    assertThat(mostBuffered).isLessThanOrEqualTo(2 * BUFFER);
  }

  @Test
  void bestEffort_dropsWhatItHasNoRoomFor_andCountsIt() throws Exception {
    KafkaBroker broker = broker();
    LoggedServer server = serve(Map.of());
    askOverASlowLink(server);
    assertThat(mostBuffered).isPositive();
    assertThat(server.metric("dropped_total")).isPositive();
    long accepted = server.metric("accepted_total");
    assertThat(accepted + server.metric("dropped_total")).isEqualTo(2L * sent);
    link.limit(Long.MAX_VALUE);
    Await.until("what was accepted went", () -> server.metric("acknowledged_total") == accepted);
    assertThat(server.metric("buffered_bytes")).isZero();
    assertThat(broker.read("log", (int) accepted)).hasSize((int) accepted);
  }

  @Test
  void atLeastOnce_spoolsWhatItCannotSend_andLosesNothing() throws Exception {
    KafkaBroker broker = broker();
    LoggedServer server =
        serve(Map.of("delivery", "at-least-once", "spool", directory.resolve("spool").toString()));
    askOverASlowLink(server);
    assertThat(server.metric("spooled_bytes")).isGreaterThan(BUFFER);
    link.limit(Long.MAX_VALUE);
    Await.until("the spool is empty", () -> server.metric("spooled_bytes") == 0);
    assertThat(server.metric("dropped_total")).isZero();
    assertThat(server.metric("accepted_total")).isEqualTo(2L * sent);
    List<ConsumerRecord<byte[], byte[]>> log = broker.read("log", 2 * sent);
    assertThat(KafkaTest.ids(log)).hasSize(sent);
  }
}
