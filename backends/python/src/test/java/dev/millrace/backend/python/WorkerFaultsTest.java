package dev.millrace.backend.python;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** What scripts can do to their process, and others to it, and what is left of the rest. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(value = 3, unit = java.util.concurrent.TimeUnit.MINUTES)
class WorkerFaultsTest {
  private static final int KILLS = 20;

  /** Does to itself what a row says; rows that are numbers come back. */
  private static final String MISCHIEF =
      """
      import os, sys, time, signal, threading
      class Predictor:
          def predict(self, inputs):
              what = inputs[0]
              if what == "pid": return os.getpid()
              if what == "die": os.kill(os.getpid(), signal.SIGKILL)
              if what == "exit": os._exit(3)
              if what == "hang": time.sleep(600)
              if what == "spin":
                  while True: pass
              if what == "close": os.closerange(3, 1000)
              if what == "stdout":
                  os.write(1, bytes(range(256)) * 100)
                  os.close(1)
                  os.close(2)
              if what == "fork":
                  if os.fork() == 0:
                      time.sleep(600)
              if what == "child":
                  import subprocess
                  return subprocess.Popen(["sleep", "600"]).pid
              if what == "memory":
                  held = []
                  while True: held.append(bytearray(16 << 20))
              if what == "threads":
                  threading.Thread(target=time.sleep, args=(600,)).start()
              if what == "segv":
                  import ctypes
                  ctypes.string_at(0)
              return what
      """;

  @TempDir Path directory;

  @BeforeAll
  static void requirePython() {
    PythonFixture.requirePython();
  }

  private static InferenceException failure(PythonFixture fixture, String what) {
    try (TensorMap rows = PythonFixture.rows('"' + what + '"')) {
      return catchThrowableOfType(
          InferenceException.class, () -> fixture.predictor.predict(rows, List.of()).close());
    }
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime() - end).as("time is over").isNegative();
      java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
    }
  }

  private static boolean isAlive(long pid) {
    return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
  }

  @Test
  void aProcessThatDies_losesOnlyItsCall() {
    try (PythonFixture fixture = PythonFixture.of(directory, MISCHIEF)) {
      for (String what : List.of("die", "exit", "close", "segv")) {
        InferenceException failure = failure(fixture, what);
        assertThat(failure.code()).as(what).isEqualTo(ErrorCode.UNAVAILABLE);
        assertThat(failure.getMessage())
            .as(what)
            .startsWith("the Python process that ran this call");
        assertThat(fixture.texts("5")).containsExactly("5");
      }
      assertThat(failure(fixture, "die").getMessage()).endsWith("ended (killed by signal 9)");
      assertThat(failure(fixture, "exit").getMessage()).endsWith("ended (exit status 3)");
    }
  }

  @Test
  void aCallThatTakesTooLong_isStopped() {
    try (PythonFixture fixture =
        PythonFixture.of(directory, MISCHIEF, 1, Map.of("call-timeout", "500ms"))) {
      for (String what : List.of("hang", "spin")) {
        InferenceException failure = failure(fixture, what);
        assertThat(failure.code()).isEqualTo(ErrorCode.DEADLINE_EXCEEDED);
        assertThat(failure.getMessage())
            .isEqualTo("the script ran for more than 500 ms and was stopped");
        await(() -> isAnswered(fixture));
      }
    }
  }

  private static boolean isAnswered(PythonFixture fixture) {
    try {
      return fixture.texts("5").equals(List.of("5"));
    } catch (InferenceException e) {
      return false;
    }
  }

  @Test
  void whatAScriptDoesToItsOutput_doesNotMatter() {
    try (PythonFixture fixture = PythonFixture.of(directory, MISCHIEF)) {
      assertThat(fixture.texts("\"stdout\"")).containsExactly("\"stdout\"");
      assertThat(fixture.texts("5")).containsExactly("5");
      assertThat(fixture.texts("\"threads\"")).containsExactly("\"threads\"");
      assertThat(fixture.texts("5")).containsExactly("5");
    }
  }

  @Test
  void whatAScriptStarted_endsWithIt() {
    long pid;
    long child;
    try (PythonFixture fixture = PythonFixture.of(directory, MISCHIEF)) {
      assertThat(fixture.texts("\"fork\"")).containsExactly("\"fork\"");
      child = Long.parseLong(fixture.texts("\"child\"").getFirst());
      pid = Long.parseLong(fixture.texts("\"pid\"").getFirst());
      assertThat(isAlive(child)).isTrue();
      assertThat(failure(fixture, "die").code()).isEqualTo(ErrorCode.UNAVAILABLE);
      assertThat(fixture.texts("5")).containsExactly("5");
      await(() -> !isAlive(child) && !isAlive(pid));
    }
    assertThat(ProcessHandle.current().descendants().filter(WorkerFaultsTest::isWorker)).isEmpty();
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void aScriptThatWantsAllMemory_isRefusedIt() {
    try (PythonFixture fixture =
        PythonFixture.of(directory, MISCHIEF, 1, Map.of("memory-limit", "256MB"))) {
      InferenceException failure = failure(fixture, "memory");
      assertThat(failure.code()).isEqualTo(ErrorCode.INTERNAL);
      assertThat(failure.getMessage()).startsWith("MemoryError");
      assertThat(fixture.texts("5")).containsExactly("5");
    }
  }

  @Test
  void aScriptThatNoLongerLoads_isTriedAgain() throws IOException {
    Path switchFile = directory.resolve("broken");
    String script =
        """
        import os
        if os.path.exists('%s'): raise RuntimeError('switched off')
        """
                .formatted(switchFile)
            + MISCHIEF;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      Files.createFile(switchFile);
      failure(fixture, "die");
      await(() -> {
        InferenceException failure = failure(fixture, "5");
        return failure != null
            && failure.code() == ErrorCode.UNAVAILABLE
            && failure.getMessage().startsWith("no Python process can be started: ")
            && failure.getMessage().contains("switched off");
      });
      Files.delete(switchFile);
      await(() -> isAnswered(fixture));
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void killedUnderLoad_everyCallIsAnsweredOrFailsClearly() throws Exception {
    AtomicInteger right = new AtomicInteger();
    AtomicInteger failed = new AtomicInteger();
    AtomicBoolean over = new AtomicBoolean();
    try (PythonFixture fixture = PythonFixture.of(directory, MISCHIEF, 2, Map.of());
        ExecutorService threads = Executors.newFixedThreadPool(2)) {
      List<Future<?>> callers =
          Stream.of(1, 2)
              .<Future<?>>map(
                  number -> threads.submit(() -> load(fixture, number, over, right, failed)))
              .toList();
      for (int kill = 0; kill < KILLS; kill++) {
        int before = right.get();
        await(() -> right.get() > before + 20 && workers().count() == 2);
        workers().skip(kill % 2).findFirst().ifPresent(ProcessHandle::destroyForcibly);
      }
      int before = right.get();
      await(() -> right.get() > before + 100 && workers().count() == 2);
      over.set(true);
      for (Future<?> caller : callers) {
        caller.get();
      }
    }
    assertThat(failed.get()).isBetween(0, KILLS);
    assertThat(workers()).isEmpty();
    assertThat(zombies()).isEmpty();
  }

  private static void load(
      PythonFixture fixture,
      int number,
      AtomicBoolean over,
      AtomicInteger right,
      AtomicInteger failed) {
    String large = "\"" + "x".repeat(100_000) + "\"";
    try (Predictor predictor = fixture.model.newPredictor()) {
      for (int i = 0; !over.get(); i++) {
        String row = i % 10 == 0 ? large : Integer.toString(number * 1_000_000 + i);
        try (TensorMap inputs = PythonFixture.rows(row);
            TensorMap outputs = predictor.predict(inputs, List.of())) {
          assertThat(outputs.tensor(0).toStrings()).containsExactly(row);
          right.incrementAndGet();
        } catch (InferenceException e) {
          assertThat(e.code()).isEqualTo(ErrorCode.UNAVAILABLE);
          failed.incrementAndGet();
        }
      }
    }
  }

  private static Stream<ProcessHandle> workers() {
    return ProcessHandle.current().children().filter(WorkerFaultsTest::isWorker);
  }

  private static boolean isWorker(ProcessHandle process) {
    try {
      return process.isAlive()
          && Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"))
              .contains("millrace_worker");
    } catch (IOException e) {
      return false;
    }
  }

  private static List<Long> zombies() {
    return ProcessHandle.current()
        .children()
        .map(ProcessHandle::pid)
        .filter(pid -> {
          try {
            return Files.readString(Path.of("/proc/" + pid + "/stat")).contains(") Z ");
          } catch (IOException e) {
            return false;
          } catch (UncheckedIOException e) {
            return false;
          }
        })
        .toList();
  }

  @Test
  void coroutines_runSideBySideInOneProcess() throws Exception {
    String script =
        """
        import asyncio, os
        class Predictor:
            def __init__(self):
                self.waiting = 0
            async def predict(self, inputs):
                self.waiting += 1
                for _ in range(3000):
                    if self.waiting >= 4: return os.getpid()
                    await asyncio.sleep(0.01)
                raise RuntimeError("alone")
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script, 4, Map.of("concurrency", 4));
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<List<String>>> answers =
          Stream.of(1, 2, 3, 4).map(i -> threads.submit(() -> fixture.texts("0"))).toList();
      String pid = answers.getFirst().get().getFirst();
      for (Future<List<String>> answer : answers) {
        assertThat(answer.get()).containsExactly(pid);
      }
    }
  }

  @Test
  void threads_serveAScriptWithoutCoroutinesSideBySide() throws Exception {
    String script =
        """
        import os, threading
        class Predictor:
            def __init__(self):
                self.barrier = threading.Barrier(3)
            def predict(self, inputs):
                self.barrier.wait(60)
                return os.getpid()
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script, 3, Map.of("concurrency", 3));
        ExecutorService threads = Executors.newFixedThreadPool(3)) {
      List<Future<List<String>>> answers =
          Stream.of(1, 2, 3).map(i -> threads.submit(() -> fixture.texts("0"))).toList();
      for (Future<List<String>> answer : answers) {
        assertThat(answer.get()).hasSize(1);
      }
    }
  }
}
