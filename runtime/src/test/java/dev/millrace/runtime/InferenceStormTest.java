package dev.millrace.runtime;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Transformer;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Everything at once: whatever wins, every tensor is freed and every request is counted once. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(120)
class InferenceStormTest {
  private static final int CLIENTS = 4;
  private static final int REQUESTS = 400;

  @TempDir private Path root;

  /** Fails one request in nine, before or after the model. */
  private static final class Flaky implements Transformer {
    private final boolean mayBlock;
    private final AtomicInteger calls = new AtomicInteger();

    Flaky(boolean mayBlock) {
      this.mayBlock = mayBlock;
    }

    @Override
    public String name() {
      return "flaky";
    }

    @Override
    public boolean mayBlock() {
      return mayBlock;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      step();
      return request;
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      step();
      return response;
    }

    private void step() {
      if (calls.incrementAndGet() % 9 == 0) {
        throw InferenceException.invalidArgument("the ninth");
      }
    }
  }

  @Test
  void failuresCancellationsDeadlinesAndReloads_leaveNothingBehind() throws Exception {
    Trees.write(root, "m/a.fake", "2");
    FakeBackend backend = new FakeBackend();
    SimpleMeterRegistry meters = new SimpleMeterRegistry();
    List<Throwable> surprises = new CopyOnWriteArrayList<>();
    AtomicInteger answered = new AtomicInteger();
    try (ModelServer server =
        ModelServer.create(
            RuntimeConfig.of(root.resolve("m")).withProcessors(2).withInFlightLimits(64, 1 << 20),
            Plugins.of(List.of(backend)),
            List.of(new Flaky(false), new Flaky(true)),
            List.of(entry -> {}),
            meters,
            Ticker.system(),
            FrontEnd.NONE)) {
      server.models().loadAll(LoadListener.NONE);
      ModelLease lease = server.models().lease(ModelId.latest("m"));
      List<Thread> clients = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        Random random = new Random(i);
        clients.add(
            Thread.ofVirtual()
                .start(() -> {
                  try {
                    client(server, random, answered, surprises);
                  } catch (Throwable e) {
                    surprises.add(e);
                  }
                }));
      }
      for (int i = 0; i < 10; i++) {
        server.models().load("m", Map.of()).get(20, TimeUnit.SECONDS);
      }
      for (Thread client : clients) {
        client.join();
      }
      assertThat(surprises).isEmpty();
      assertThat(answered).hasValue(CLIENTS * REQUESTS);
      Await.until("all are answered", () -> server.requestsInFlight() == 0);
      double counted =
          meters.find(Metric.REQUESTS.meterName()).counters().stream()
              .mapToDouble(Counter::count)
              .sum();
      assertThat(counted).isEqualTo(CLIENTS * REQUESTS);
      lease.close();
    }
    assertThat(backend.openModels).hasValue(0);
    assertThat(backend.openPredictors).hasValue(0);
  }

  private static void client(
      ModelServer server, Random random, AtomicInteger answered, List<Throwable> surprises) {
    List<CompletableFuture<InferenceResponse>> futures = new ArrayList<>();
    for (int i = 0; i < REQUESTS; i++) {
      float x = random.nextInt(100);
      CompletableFuture<InferenceResponse> future = server.infer(request(random, x));
      var _ =
          future.whenComplete((response, failure) -> {
            answered.incrementAndGet();
            if (response != null) {
              try (response) {
                float y = requireNonNull(response.outputs().get("Y")).toFloats()[0];
                if (y != 2 * x) {
                  surprises.add(new AssertionError("%s gave %s".formatted(x, y)));
                }
              }
            } else if (isSurprise(failure)) {
              surprises.add(failure);
            }
          });
      futures.add(future);
      if (random.nextInt(4) == 0) {
        futures.get(random.nextInt(futures.size())).cancel(false);
      }
      if (random.nextInt(8) == 0) {
        var _ = future.handle((response, failure) -> null).join();
      }
    }
    futures.forEach(future -> future.handle((response, failure) -> null).join());
  }

  private static InferenceRequest request(Random random, float x) {
    InferenceRequest request = Requests.of("m", x, x);
    return random.nextInt(8) == 0
        ? request.withDeadline(Deadline.after(Duration.ofNanos(100_000), Ticker.system()))
        : request;
  }

  private static boolean isSurprise(Throwable failure) {
    InferenceException answer = InferenceException.of(failure);
    return switch (answer.code()) {
      case INVALID_ARGUMENT, CANCELLED, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED -> false;
      // A request that cannot be in time is told when to come back, unlike one for no model.
      case UNAVAILABLE -> answer.retryAfter().isEmpty();
      case NOT_FOUND, FAILED_PRECONDITION, UNIMPLEMENTED, INTERNAL -> true;
    };
  }
}
