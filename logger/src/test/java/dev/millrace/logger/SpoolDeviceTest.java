package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.logger.ScriptedSink.Behaviour;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A spool whose device is really full: what it says and counts, and that it goes on afterwards. */
@Timeout(120)
class SpoolDeviceTest {
  @TempDir private Path directory;
  private final Records.Counts counts = new Records.Counts();
  private final ScriptedSink sink = new ScriptedSink();
  private final List<AutoCloseable> open = new ArrayList<>();

  @AfterEach
  void closeAll() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
  }

  private InferenceLogger start(Path spool) {
    InferenceLogger logger =
        QueuedLogger.start(
            LoggerSettings.read(
                Records.settings("delivery", "at-least-once", "spool", spool), Map.of()),
            promised -> sink,
            counts);
    open.add(() -> logger.close(Duration.ofSeconds(2)));
    return logger;
  }

  private static InferenceLogger model(InferenceLogger logger, Object... section) {
    return logger.forModel(new ModelId("m", "3"), Records.settings(section));
  }

  /** Whether that ran, and well; where not, why is printed. */
  private static boolean run(String... command) throws InterruptedException {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String said = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
      if (process.waitFor() == 0) {
        return true;
      }
      System.err.println("not run: " + String.join(" ", command) + ": " + said);
    } catch (IOException e) {
      System.err.println("not run: " + e.getMessage());
    }
    return false;
  }

  private Path device() throws Exception {
    Path device = Files.createDirectory(directory.resolve("device"));
    Assumptions.assumeTrue(
        run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", device.toString()),
        "no device may be mounted here");
    open.add(() -> assertThat(run("umount", device.toString())).isTrue());
    return device;
  }

  private List<String> taken() {
    return sink.taken.stream()
        .map(text -> text.replaceAll(".*\"id\":\"(\\w+)\".*", "$1"))
        .distinct()
        .toList();
  }

  @Test
  void fullDevice_dropsAndCounts_andTakesMoreWhenTheSinkMadeRoom() throws Exception {
    Path device = device();
    sink.behaviour = Behaviour.FAIL;
    InferenceLogger model = model(start(device.resolve("spool")));
    int logged = 0;
    while (counts.of("SPOOL_FULL") == 0) {
      Records.log(model, "a" + logged++, 1);
    }
    Await.until("all is encoded", () -> model.holdings().bufferedBytes() == 0);
    assertThat(model.holdings().spooledBytes()).isBetween(100L << 10, 256L << 10);
    int kept = 2 * logged - counts.dropped();
    sink.behaviour = Behaviour.TAKE;
    Await.until("what was kept went", () -> counts.of("acknowledged") == kept);
    Await.until(
        "there is room again",
        () -> {
          int before = counts.dropped();
          Records.log(model, "probe", 1);
          Await.until("it is encoded", () -> model.holdings().bufferedBytes() == 0);
          return counts.dropped() == before;
        });
    int dropped = counts.dropped();
    for (int i = 0; i < 200; i++) {
      Records.log(model, "b" + i, 1);
    }
    Await.until("all went", () -> taken().contains("b199"));
    assertThat(counts.dropped()).isEqualTo(dropped);
    assertThat(taken().stream().filter(id -> id.startsWith("a")).toList())
        .startsWith("a0")
        .hasSizeGreaterThanOrEqualTo(kept / 2)
        .isSubsetOf(IntStream.range(0, logged).mapToObj(i -> "a" + i).toList());
    assertThat(taken()).containsSequence(IntStream.range(0, 200).mapToObj(i -> "b" + i).toList());
  }

  @Test
  void fullDevice_refuses_untilOthersMakeRoom() throws Exception {
    Path device = device();
    sink.behaviour = Behaviour.FAIL;
    InferenceLogger model = model(start(device.resolve("spool")), "when-full", "refuse");
    Records.log(model, "a", 1);
    Await.until("it is in the spool", () -> model.holdings().spooledBytes() > 0);
    Path others = device.resolve("others");
    assertThatThrownBy(() -> Files.write(others, new byte[1 << 20]))
        .isInstanceOf(IOException.class);
    int logged = 1;
    while (counts.of("SPOOL_FULL") == 0) { // the rest of the last page
      Records.log(model, "b" + logged++, 1);
    }
    assertThatThrownBy(model::admit).isInstanceOf(InferenceException.class);
    Files.delete(others);
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
    Await.until("all is encoded", () -> model.holdings().bufferedBytes() == 0);
    int dropped = counts.dropped();
    Records.log(model, "c", 1);
    sink.behaviour = Behaviour.TAKE;
    int all = logged + 1;
    Await.until("the rest went", () -> counts.of("acknowledged") == 2 * all - dropped);
    assertThat(counts.dropped()).isEqualTo(dropped);
    assertThat(taken()).startsWith("a").endsWith("c");
  }

  /** The same without a mount, so for any user: the system lets no file of the process grow. */
  @Test
  void filesThatMayNotGrow_loseOnlyWhatIsCounted() throws Exception {
    ProcessBuilder command =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:-UsePerfData",
            "-cp",
            System.getProperty("java.class.path"),
            Spooling.class.getName(),
            directory.resolve("spool").toString());
    command.redirectError(ProcessBuilder.Redirect.INHERIT);
    Process process = command.start();
    open.add(process::destroyForcibly);
    String pid = Long.toString(process.pid());
    int dropped;
    try (BufferedReader lines =
            new BufferedReader(new InputStreamReader(process.getInputStream(), UTF_8));
        PrintWriter tell = new PrintWriter(process.getOutputStream(), true, UTF_8)) {
      assertThat(answer(lines)).isZero();
      Assumptions.assumeTrue(
          run("prlimit", "--pid", pid, "--fsize=0:unlimited"), "no limit can be set here");
      tell.println("on");
      dropped = answer(lines);
      assertThat(dropped).isEqualTo(200); // both sides of all
      assertThat(run("prlimit", "--pid", pid, "--fsize=unlimited")).isTrue();
      tell.println("on");
      assertThat(answer(lines)).isEqualTo(dropped);
    }
    assertThat(process.waitFor()).isZero();
    start(directory.resolve("spool"));
    Await.until("all went", () -> taken().contains("r299"));
    assertThat(taken())
        .isEqualTo(
            IntStream.concat(IntStream.range(0, 100), IntStream.range(200, 300))
                .mapToObj(i -> "r" + i)
                .toList());
  }

  private static int answer(BufferedReader lines) throws IOException {
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.startsWith("dropped ")) {
        return Integer.parseInt(line.substring(8));
      }
    }
    throw new AssertionError("the process has ended");
  }

  /** Another process, which logs a hundred inferences whenever it is told to. */
  static final class Spooling {
    private Spooling() {}

    public static void main(String[] args) throws Exception {
      ScriptedSink failing = new ScriptedSink();
      failing.behaviour = Behaviour.FAIL;
      Records.Counts counts = new Records.Counts();
      InferenceLogger logger =
          QueuedLogger.start(
              LoggerSettings.read(
                  Records.settings("delivery", "at-least-once", "spool", args[0]), Map.of()),
              promised -> failing,
              counts);
      InferenceLogger model = model(logger);
      BufferedReader told = new BufferedReader(new InputStreamReader(System.in, UTF_8));
      int count = 0;
      do {
        for (int i = 0; i < 100; i++) {
          Records.log(model, "r" + count++, 1);
        }
        Await.until("all is encoded", () -> model.holdings().bufferedBytes() == 0);
        System.out.println("dropped " + counts.dropped());
        System.out.flush();
      } while (told.readLine() != null && count < 300);
      logger.close(Duration.ofMillis(500));
    }
  }
}
