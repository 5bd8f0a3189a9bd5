package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.llm.ReceivedRequest;
import dev.millrace.testing.llm.ReceivedRequest.End;
import dev.millrace.testing.llm.ScriptedEngine;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** An engine that dies under load, and comes back: what becomes of every single request. */
@ExtendWith(NettyLeakExtension.class)
class FailoverTest {
  private static final int ENGINES = 3;

  /** Streams that have begun when the engine dies. */
  private static final int BEGUN = 36;

  /** Requests of which no byte has been answered then, streams and others by turns. */
  private static final int WAITING = 36;

  /** Clients that ask for one short answer after the other all the time. */
  private static final int BUSY = 6;

  @TempDir Path directory;
  private LlmFixture llm;
  private @Nullable ScriptedEngine revived;

  /** Whether the busy clients go on. */
  private final AtomicBoolean goOn = new AtomicBoolean(true);

  /** One request, and all that its client saw of the answer. */
  private final class Call {
    private final String text;
    private final boolean isStream;
    private final String script;
    private volatile boolean hasEvent;
    private volatile boolean isOver;
    private volatile int status;
    private volatile String answer = "";
    private volatile @Nullable Throwable failure;

    Call(String text, boolean isStream, String script) {
      this.text = text;
      this.isStream = isStream;
      this.script = script;
    }

    private String body() {
      return "{\"model\":\"scripted\",\"scripted\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}"
          .formatted(script, isStream, text);
    }

    Call start() {
      Thread.startVirtualThread(this::run);
      return this;
    }

    void run() {
      try {
        HttpResponse<InputStream> response =
            llm.client()
                .send(
                    llm.request(CHAT).POST(BodyPublishers.ofString(body())).build(),
                    BodyHandlers.ofInputStream());
        status = response.statusCode();
        StringBuilder lines = new StringBuilder();
        try (BufferedReader in =
            new BufferedReader(new InputStreamReader(response.body(), UTF_8))) {
          for (String line = in.readLine(); line != null; line = in.readLine()) {
            lines.append(line).append('\n');
            hasEvent |= line.startsWith("data:");
          }
        }
        answer = lines.toString();
      } catch (IOException | InterruptedException e) {
        failure = e;
      } finally {
        isOver = true;
      }
    }

    /** All of the answer came. */
    boolean isComplete() {
      return status == 200
          && (isStream
              ? answer.endsWith("data: [DONE]\n\n") && !answer.contains("{\"error\"")
              : answer.contains("\"content\":\"" + text + "\""));
    }

    /** The answer began, and ended with an event that says what happened. */
    boolean isBroken() {
      return status == 200
          && isStream
          && answer.startsWith("data: {\"id\"")
          && answer
              .substring(answer.lastIndexOf("data: "))
              .startsWith("data: {\"error\":{\"message\":\"an upstream closed the connection");
    }

    boolean isAt(ScriptedEngine engine) {
      return engine.requests().stream().anyMatch(this::isOf);
    }

    boolean isOf(ReceivedRequest request) {
      return request.text().contains("\"content\":\"" + text + "\"");
    }

    @Override
    public String toString() {
      return "%s, %s, %d: %s %s".formatted(text, script, status, answer, failure);
    }
  }

  @BeforeEach
  void begin() throws IOException {
    llm = new LlmFixture(directory, ENGINES);
    llm.model(
            "scripted",
            llm.engines(ENGINES),
            "health: {interval: 0s}",
            "ejection: {failures: 3, time: 3s}")
        .start();
  }

  @AfterEach
  void stop() throws IOException {
    goOn.set(false);
    llm.close();
    if (revived != null) {
      revived.close();
    }
  }

  @Test
  void engine_thatDiesUnderLoad_losesOnlyWhatHadBegun_andIsBackWhenItAnswersAgain()
      throws Exception {
    List<Call> begun = new ArrayList<>();
    List<Call> waiting = new ArrayList<>();
    for (int i = 0; i < BEGUN; i++) {
      begun.add(new Call("begun" + i + ".", true, "text=a b c d;stall=2").start());
    }
    for (int i = 0; i < WAITING; i++) {
      waiting.add(new Call("waiting" + i + ".", i % 2 == 0, "stall=request").start());
    }
    Await.until("streams have begun", () -> begun.stream().allMatch(call -> call.hasEvent));
    Await.until("all have arrived", () -> running() == BEGUN + WAITING);

    Queue<Call> quick = new ConcurrentLinkedQueue<>();
    List<Thread> busy = new ArrayList<>();
    AtomicInteger counter = new AtomicInteger();
    for (int i = 0; i < BUSY; i++) {
      boolean isStream = i % 2 == 0;
      busy.add(
          Thread.startVirtualThread(() -> {
            while (goOn.get()) {
              Call call = new Call("quick" + counter.incrementAndGet(), isStream, "");
              call.run();
              quick.add(call);
            }
          }));
    }
    awaitMore(quick, 50);

    ScriptedEngine victim =
        llm.engines(ENGINES).stream()
            .max(Comparator.comparingLong(engine -> countAt(engine, waiting)))
            .orElseThrow();
    List<ScriptedEngine> survivors = new ArrayList<>(llm.engines(ENGINES));
    survivors.remove(victim);
    List<Call> lost = begun.stream().filter(call -> call.isAt(victim)).toList();
    List<Call> moved = waiting.stream().filter(call -> call.isAt(victim)).toList();
    assertThat(lost).isNotEmpty();
    assertThat(moved).isNotEmpty();
    victim.close();

    // What had begun there ends, with an error; what had not begun goes elsewhere.
    Await.until("streams end", () -> lost.stream().allMatch(call -> call.isOver));
    Await.until(
        "others have moved",
        () -> moved.stream().allMatch(call -> survivors.stream().anyMatch(call::isAt)));
    assertThat(begun.stream().filter(call -> call.isOver))
        .containsExactlyInAnyOrderElementsOf(lost);
    assertThat(waiting).noneMatch(call -> call.isOver);
    Await.until("it is out of service", () -> fit(victim) == 0);

    // Out of service: it would be the least busy one, but is left alone, but for a trial by each
    // event loop at most.
    long retried = metric("millrace_upstream_retries_total", _ -> true);
    assertThat(retried).isGreaterThanOrEqualTo(moved.size());
    awaitMore(quick, 50);
    assertThat(metric("millrace_upstream_retries_total", _ -> true) - retried)
        .isLessThanOrEqualTo(2L * Runtime.getRuntime().availableProcessors());

    // It is back.
    ScriptedEngine again = ScriptedEngine.builder().port(victim.port()).start();
    revived = again;
    Await.until("it answers again", () -> again.requests().size() > 10);
    assertThat(fit(victim)).isEqualTo(1);
    awaitMore(quick, 50);
    goOn.set(false);
    for (Thread thread : busy) {
      thread.join();
    }
    Await.until(
        "all are over",
        () -> {
          survivors.forEach(ScriptedEngine::release);
          return begun.stream().allMatch(call -> call.isOver)
              && waiting.stream().allMatch(call -> call.isOver);
        });

    // The account: each request was answered, or broken off where it had begun.
    assertThat(lost).allMatch(Call::isBroken);
    assertThat(begun.stream().filter(Call::isComplete)).hasSize(BEGUN - lost.size());
    assertThat(waiting).allMatch(Call::isComplete);
    for (Call call : waiting) {
      long answered =
          survivors.stream()
              .flatMap(engine -> engine.requests().stream())
              .filter(request -> call.isOf(request) && request.end() == End.ANSWERED)
              .count();
      assertThat(answered).as(call.text).isEqualTo(1);
    }
    assertThat(quick).hasSize(counter.get());
    assertThat(quick).allMatch(call -> call.isComplete() || (call.isBroken() && call.isAt(victim)));
    assertThat(quick.stream().filter(call -> !call.isComplete()).count())
        .isLessThanOrEqualTo(BUSY / 2);
    Await.until(
        "nothing is in flight",
        () -> metric("millrace_upstream_requests_in_flight", _ -> true) == 0 && running() == 0);
    assertThat(metric("millrace_upstream_queue_requests", _ -> true)).isZero();
    int sent = BEGUN + WAITING + quick.size();
    Await.until(
        "all are counted",
        () -> metric("gen_ai_server_request_duration_seconds_count", _ -> true) == sent);
    long failed = lost.size() + quick.stream().filter(Call::isBroken).count();
    assertThat(
            metric(
                "gen_ai_server_request_duration_seconds_count",
                line -> line.contains("error_type=\"502\"")))
        .isEqualTo(failed);
  }

  private static void awaitMore(Queue<Call> calls, int count) {
    int before = calls.size();
    Await.until("there are more answers", () -> calls.size() >= before + count);
  }

  private static long countAt(ScriptedEngine engine, List<Call> calls) {
    return calls.stream().filter(call -> call.isAt(engine)).count();
  }

  private int running() {
    return llm.engines(ENGINES).stream().mapToInt(ScriptedEngine::running).sum();
  }

  private long fit(ScriptedEngine engine) {
    return metric("millrace_upstream_fit", line -> line.contains(":" + engine.port()));
  }

  /** The sum of a metric's values. */
  private long metric(String name, Predicate<String> which) {
    return llm.scrape()
        .lines()
        .filter(line -> line.startsWith(name + "{") && which.test(line))
        .mapToLong(line -> (long) Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }
}
