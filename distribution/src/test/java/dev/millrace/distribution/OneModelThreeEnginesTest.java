package dev.millrace.distribution;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.millrace.distribution.DigitsClient.Protocol;
import dev.millrace.runtime.Backends;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The same trained model in all three engines of the assembled layout, in one process. */
@EnabledOnOs(OS.LINUX)
class OneModelThreeEnginesTest {
  private static final float TOLERANCE = 1e-3f;

  /** How long the engines serve together; two minutes show more than the few seconds of a build. */
  private static final Duration LOAD =
      Duration.ofSeconds(Integer.getInteger("millrace.load-seconds", 4));

  private static final int CLIENTS = 8;

  /** What the heap and the engines' pools may still grow by once they are warm. */
  private static final long MOST_GROWTH = 96L << 20;

  private static MillraceServer server;
  private static DigitsClient client;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    DigitsModels.write(repository);
    server =
        MillraceServer.start(
            ServerConfig.of(RuntimeConfig.of(repository)).onFreePorts(),
            Backends.inDirectory(Path.of(System.getProperty("millrace.home"), "backends")));
    client = new DigitsClient(server.port());
  }

  @AfterAll
  static void stop() {
    client.close();
    server.close();
  }

  static Stream<Arguments> everyWay() {
    return DigitsModels.NAMES.stream()
        .flatMap(
            model -> Stream.of(Protocol.values()).map(protocol -> Arguments.of(model, protocol)));
  }

  @ParameterizedTest
  @MethodSource("everyWay")
  void logits_areTheSame_whateverTheEngineAndTheProtocol(String model, Protocol protocol)
      throws Exception {
    for (int count : new int[] {1, 16}) {
      float[] logits = client.logits(protocol, model, DigitsModels.rows(count));
      assertThat(logits).hasSize(count * 10);
      assertThat(logits).containsExactly(DigitsModels.logits(count), within(TOLERANCE));
    }
  }

  @Test
  void engines_serveTogetherUnderLoad_andMemoryIsFlat() throws Exception {
    AtomicLong answers = new AtomicLong();
    long start = System.nanoTime();
    long end = start + LOAD.toNanos();
    long warm = start + LOAD.toNanos() / 3;
    List<Future<?>> clients = new ArrayList<>();
    Optional<Long> warmBytes = Optional.empty();
    try (ExecutorService threads = Executors.newFixedThreadPool(CLIENTS)) {
      for (int i = 0; i < CLIENTS; i++) {
        int first = i;
        clients.add(threads.submit(() -> ask(first, end, answers)));
      }
      while (System.nanoTime() - end < 0) {
        if (warmBytes.isEmpty() && System.nanoTime() - warm >= 0) {
          warmBytes = Optional.of(residentBytes());
        }
        TimeUnit.MILLISECONDS.sleep(20);
      }
      for (Future<?> each : clients) {
        failOn(each);
      }
    }
    long before = warmBytes.orElseThrow();
    long after = residentBytes();
    System.out.printf(
        "%d engines, %d clients, %d s: %d answers (%d/s); resident after a third %d MB, at the end"
            + " %d MB%n",
        DigitsModels.NAMES.size(),
        CLIENTS,
        LOAD.toSeconds(),
        answers.get(),
        answers.get() / Math.max(1, LOAD.toSeconds()),
        before >> 20,
        after >> 20);
    assertThat(answers.get()).isPositive();
    assertThat(after - before).as("growth in bytes").isLessThan(MOST_GROWTH);
    assertThat(server.models().requestsInFlight()).isZero();
  }

  /** Asks all models in all protocols, one after the other, and looks at every answer. */
  private static Void ask(int first, long end, AtomicLong answers) throws Exception {
    List<Arguments> ways = everyWay().toList();
    for (int i = first; System.nanoTime() - end < 0; i++) {
      Object[] way = ways.get(i % ways.size()).get();
      int count = 1 + i % 5;
      float[] logits = client.logits((Protocol) way[1], (String) way[0], DigitsModels.rows(count));
      assertThat(logits).containsExactly(DigitsModels.logits(count), within(TOLERANCE));
      answers.incrementAndGet();
    }
    return null;
  }

  private static void failOn(Future<?> each) throws InterruptedException {
    try {
      each.get();
    } catch (ExecutionException e) {
      throw new AssertionError("a client failed", e.getCause());
    }
  }

  /** Of this process, with all that native code has; the heap is made small first. */
  private static long residentBytes() throws IOException {
    System.gc();
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    throw new IOException("no VmRSS");
  }
}
