package dev.millrace.backend.python;

import static dev.millrace.backend.python.PythonFixture.rows;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(TensorLeakExtension.class)
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class PythonStreamTest {
  /**
   * Yields each row once there is a file of its name, "forever" again and again, and leaves a file
   * when it is closed.
   */
  private static final String WAITING =
      """
      import os, time
      class Predictor:
          def predict(self, rows, headers):
              try:
                  for row in rows:
                      if row == "bad": raise ValueError("a bad row")
                      while row == "forever":
                          yield row
                          time.sleep(0.005)
                      while not os.path.exists(row):
                          time.sleep(0.005)
                      yield {"row": row, "user": headers["x-user"]}
              finally:
                  open("closed", "w").close()
      """;

  @TempDir Path directory;

  @BeforeAll
  static void requirePython() {
    PythonFixture.requirePython();
  }

  private static String script(String kind) {
    return kind.equals("sync")
        ? WAITING
        : WAITING
            .replace("import os, time", "import asyncio, os")
            .replace("    def predict", "    async def predict")
            .replace("time.sleep", "await asyncio.sleep");
  }

  private void release(String name) {
    PythonFixture.write(directory, name, "");
  }

  private static void until(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("still not so").isLessThan(end);
      Thread.sleep(5);
    }
  }

  /** What a subscriber saw: the texts of each response, then {@code "end"} or a failure. */
  private static final class Seen implements Flow.Subscriber<TensorMap> {
    private final BlockingQueue<Object> events = new LinkedBlockingQueue<>();
    private final BlockingQueue<Flow.Subscription> subscription = new LinkedBlockingQueue<>();
    private final long demand;

    Seen(long demand) {
      this.demand = demand;
    }

    @Override
    public void onSubscribe(Flow.Subscription to) {
      subscription.add(to);
      to.request(demand);
    }

    @Override
    public void onNext(TensorMap outputs) {
      try (outputs) {
        events.add(outputs.name(0) + outputs.tensor(0).toStrings());
      }
    }

    @Override
    public void onError(Throwable failure) {
      events.add(((InferenceException) failure).code() + " " + failure.getMessage());
    }

    @Override
    public void onComplete() {
      events.add("end");
    }

    @Nullable Object next() throws InterruptedException {
      return events.poll(60, TimeUnit.SECONDS);
    }

    Flow.Subscription subscription() throws InterruptedException {
      return subscription.take();
    }
  }

  private static Seen stream(PythonFixture fixture, long demand, TensorMap inputs) {
    Seen seen = new Seen(demand);
    Parameters parameters = Parameters.copyOf(Map.of("header.x-user", "ann"));
    fixture.model.stream(inputs, List.of(), parameters, Deadline.none()).subscribe(seen);
    return seen;
  }

  @ParameterizedTest
  @ValueSource(strings = {"sync", "async"})
  void whatIsYielded_isThereAtOnce(String kind) throws InterruptedException {
    try (PythonFixture fixture = PythonFixture.of(directory, script(kind))) {
      assertThat(fixture.model.streams()).isTrue();
      Seen seen = stream(fixture, Long.MAX_VALUE, rows("\"a\"", "\"b\""));
      assertThat(seen.events.poll(50, TimeUnit.MILLISECONDS)).isNull();
      release("a");
      assertThat(seen.next()).isEqualTo("predictions[{\"row\":\"a\",\"user\":\"ann\"}]");
      release("b");
      assertThat(seen.next()).isEqualTo("predictions[{\"row\":\"b\",\"user\":\"ann\"}]");
      assertThat(seen.next()).isEqualTo("end");
      assertThat(directory.resolve("closed")).exists();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"sync", "async"})
  void aFailure_comesBehindWhatWasYielded(String kind) throws InterruptedException {
    try (PythonFixture fixture = PythonFixture.of(directory, script(kind))) {
      release("a");
      Seen seen = stream(fixture, Long.MAX_VALUE, rows("\"a\"", "\"bad\""));
      assertThat(seen.next()).isEqualTo("predictions[{\"row\":\"a\",\"user\":\"ann\"}]");
      assertThat(seen.next()).isEqualTo("INTERNAL ValueError: a bad row");
      Seen again = stream(fixture, Long.MAX_VALUE, rows("\"a\""));
      assertThat(again.next()).isEqualTo("predictions[{\"row\":\"a\",\"user\":\"ann\"}]");
      assertThat(again.next()).isEqualTo("end");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"sync", "async"})
  void whoeverCancels_closesTheGenerator(String kind) throws InterruptedException {
    try (PythonFixture fixture = PythonFixture.of(directory, script(kind))) {
      release("a");
      Seen seen = stream(fixture, 1, rows("\"a\"", "\"forever\""));
      assertThat(seen.next()).isEqualTo("predictions[{\"row\":\"a\",\"user\":\"ann\"}]");
      seen.subscription().cancel();
      until(() -> Files.exists(directory.resolve("closed")));
      Seen again = stream(fixture, Long.MAX_VALUE, rows("\"a\""));
      assertThat(again.next()).isEqualTo("predictions[{\"row\":\"a\",\"user\":\"ann\"}]");
      assertThat(again.next()).isEqualTo("end");
      assertThat(seen.events).isEmpty();
    }
  }

  @Test
  void aCoroutineThatWaits_isToldAtOnce() throws InterruptedException {
    try (PythonFixture fixture = PythonFixture.of(directory, script("async"))) {
      release("a");
      Seen seen = stream(fixture, Long.MAX_VALUE, rows("\"a\"", "\"a file that never is\""));
      assertThat(seen.next()).isEqualTo("predictions[{\"row\":\"a\",\"user\":\"ann\"}]");
      seen.subscription().cancel();
      until(() -> Files.exists(directory.resolve("closed")));
      assertThat(seen.events).isEmpty();
    }
  }

  @Test
  void withoutDemand_nothingComes() throws InterruptedException {
    String script =
        """
        class Predictor:
            def predict(self, rows):
                for number in range(rows[0]):
                    yield number
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      Seen seen = stream(fixture, 2, rows("100000"));
      assertThat(seen.next()).isEqualTo("predictions[0]");
      assertThat(seen.next()).isEqualTo("predictions[1]");
      assertThat(seen.events.poll(50, TimeUnit.MILLISECONDS)).isNull();
      seen.subscription().cancel();
      assertThat(fixture.texts("3")).containsExactly("0", "1", "2");
    }
  }

  @Test
  void tensors_areYieldedAsRows_andDeclaredOutputsHaveTheirDatatypes() throws InterruptedException {
    String script =
        """
        class Predictor:
            def predict(self, rows):
                for word in rows[0].split():
                    yield {"text_output": word, "size": len(word)}
        """;
    Map<String, Object> settings =
        Map.of(
            "inputs",
                List.of(Map.of("name", "text_input", "datatype", "BYTES", "shape", List.of(-1))),
            "outputs",
                List.of(
                    Map.of("name", "text_output", "datatype", "BYTES", "shape", List.of(-1)),
                    Map.of("name", "size", "datatype", "INT32", "shape", List.of(-1))));
    try (PythonFixture fixture = PythonFixture.of(directory, script, 1, settings)) {
      TensorMap inputs = TensorMap.of("text_input", Tensor.copyOf(Shape.of(1), "a bc"));
      Seen seen = stream(fixture, Long.MAX_VALUE, inputs);
      assertThat(seen.next()).isEqualTo("text_output[a]");
      assertThat(seen.next()).isEqualTo("text_output[bc]");
      assertThat(seen.next()).isEqualTo("end");
      try (TensorMap all =
          fixture.predict(TensorMap.of("text_input", Tensor.copyOf(Shape.of(1), "a bc")))) {
        assertThat(all.tensor(0).toStrings()).containsExactly("a", "bc");
        assertThat(all.tensor(1).toInts()).containsExactly(1, 2);
      }
    }
  }

  @Test
  void anOutputThatIsNotThere_endsTheStreamAndNotTheProcess() throws InterruptedException {
    String script =
        """
        import os
        class Predictor:
            def predict(self, rows):
                while True:
                    yield os.getpid()
        """;
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      Seen first = stream(fixture, 1, rows("1"));
      Object pid = first.next();
      first.subscription().cancel();
      Seen other = new Seen(Long.MAX_VALUE);
      fixture.model.stream(rows("1"), List.of("scores"), Parameters.empty(), Deadline.none())
          .subscribe(other);
      assertThat(other.next())
          .isEqualTo("INVALID_ARGUMENT the script gave no output 'scores'; it gave [predictions]");
      Seen again = stream(fixture, 1, rows("1"));
      assertThat(again.next()).isEqualTo(pid);
      again.subscription().cancel();
    }
  }

  @Test
  void aMethodThatReturns_doesNotStream() {
    String script = "class Predictor:\n  def predict(self, rows): return (row for row in rows)\n";
    try (PythonFixture fixture = PythonFixture.of(directory, script)) {
      assertThat(fixture.model.streams()).isFalse();
      assertThat(fixture.texts("1", "2")).containsExactly("1", "2");
    }
  }
}
