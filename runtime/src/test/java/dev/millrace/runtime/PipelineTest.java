package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.Transformer;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class PipelineTest {
  @TempDir private Path root;
  private final FakeBackend backend = new FakeBackend();
  private final List<ModelServer> servers = new ArrayList<>();
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();

  /** Held closed by tests that need a step to be under way. */
  private final CountDownLatch entered = new CountDownLatch(1);

  private final CountDownLatch proceed = new CountDownLatch(1);

  @BeforeEach
  void writeModel() throws IOException {
    Trees.write(root, "m/a.fake", "2");
    Trees.write(root, "m/model.yaml", "warm-up: false\nproperties: {team: blue}");
  }

  @AfterEach
  void closeServers_freesEverything() {
    proceed.countDown();
    for (ModelServer server : servers) {
      server.close();
      assertThat(server.requestsInFlight()).isZero();
    }
    assertThat(backend.openModels).hasValue(0);
  }

  private ModelServer server(List<Transformer> transformers, InferenceLogger... loggers) {
    return server(RuntimeConfig.of(root.resolve("m")), transformers, loggers);
  }

  private ModelServer server(
      RuntimeConfig config, List<Transformer> transformers, InferenceLogger... loggers) {
    ModelServer server =
        ModelServer.create(
            config.withProcessors(1),
            Plugins.of(List.of(backend)),
            transformers,
            List.of(loggers),
            meters,
            Ticker.system(),
            FrontEnd.NONE);
    servers.add(server);
    server.models().loadAll(LoadListener.NONE);
    return server;
  }

  private void hold() {
    entered.countDown();
    await(proceed);
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(10, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** A step that says where it ran, and does to a request or response what it is told. */
  private static final class Step implements Transformer {
    private final String name;
    private final boolean mayBlock;
    private final List<String> trace = new CopyOnWriteArrayList<>();
    private UnaryOperator<InferenceRequest> pre = request -> request;
    private UnaryOperator<InferenceResponse> post = response -> response;
    private volatile boolean closed;

    Step(String name, boolean mayBlock) {
      this.name = name;
      this.mayBlock = mayBlock;
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public boolean mayBlock() {
      return mayBlock;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      trace.add("pre on " + (Thread.currentThread().isVirtual() ? "virtual" : "platform"));
      return pre.apply(request);
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      trace.add("post on " + (Thread.currentThread().isVirtual() ? "virtual" : "platform"));
      return post.apply(response);
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  /** Replaces X by X plus one, as a step that makes a new request does. */
  private static InferenceRequest plusOne(InferenceRequest request) {
    Tensor x = request.inputs().get("X");
    if (x == null) {
      throw InferenceException.invalidArgument("no X");
    }
    float[] values = x.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i]++;
    }
    InferenceRequest changed =
        request.withInputs(TensorMap.of("X", Tensor.copyOf(x.shape(), values)));
    request.close();
    return changed;
  }

  /** Replaces the outputs by Y times ten. */
  private static InferenceResponse timesTen(InferenceResponse response) {
    Tensor y = response.outputs().get("Y");
    if (y == null) {
      throw InferenceException.invalidArgument("no Y");
    }
    float[] values = y.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= 10;
    }
    InferenceResponse changed =
        response.withOutputs(TensorMap.of("Y", Tensor.copyOf(y.shape(), values)));
    response.close();
    return changed;
  }

  private double requests(String outcome) {
    return meters
        .get(Metric.REQUESTS.meterName())
        .tags("model", "m", "version", "1", "outcome", outcome)
        .counter()
        .count();
  }

  private static InferenceRequest request(
      String id, List<String> outputs, Parameters parameters, float... x) {
    return new InferenceRequest(
        id,
        ModelId.latest("m"),
        TensorMap.of("X", Tensor.copyOf(Shape.of(x.length / 2, 2), x)),
        outputs,
        parameters,
        Deadline.none());
  }

  @Test
  void response_hasTheRequestsId_theVersionAndAllOutputs() {
    ModelServer server = server(List.of());
    try (var response = server.infer(request("r1", List.of(), Parameters.empty(), 1, 2)).join()) {
      assertThat(response.id()).isEqualTo("r1");
      assertThat(response.model()).isEqualTo(new ModelId("m", "1"));
      assertThat(response.outputs().names()).containsExactly("Y", "Z");
    }
    assertThat(requests("ok")).isEqualTo(1);
  }

  @Test
  void requestWithoutId_getsOneOfItsOwn() {
    ModelServer server = server(List.of());
    try (var one = server.infer(Requests.of("m", 1, 2)).join();
        var two = server.infer(Requests.of("m", 1, 2)).join()) {
      assertThat(one.id()).isNotEmpty().isNotEqualTo(two.id());
    }
  }

  @Test
  void requestedOutputs_comeInTheOrderAsked() {
    ModelServer server = server(List.of());
    try (var response =
        server.infer(request("", List.of("Z", "Y"), Parameters.empty(), 1, 2)).join()) {
      assertThat(response.outputs().names()).containsExactly("Z", "Y");
    }
    try (var response = server.infer(request("", List.of("Z"), Parameters.empty(), 1, 2)).join()) {
      assertThat(response.outputs().names()).containsExactly("Z");
    }
  }

  @Test
  void outputsOfAPredictorThatIgnoresTheOrder_arePutInOrder() {
    Tensor spare = Tensor.copyOf(Shape.of(1), 3f);
    TensorMap outputs =
        TensorMap.builder()
            .put("A", Tensor.copyOf(Shape.of(1), 1f))
            .put("B", Tensor.copyOf(Shape.of(1), 2f))
            .put("C", spare)
            .build();
    try (TensorMap ordered = Pipeline.inOrder(outputs, List.of("B", "A"))) {
      assertThat(ordered.names()).containsExactly("B", "A");
      assertThat(spare.isClosed()).isTrue();
    }
  }

  @Test
  void outputThatThePredictorDoesNotGive_isAnInternalError() {
    TensorMap outputs = TensorMap.of("A", Tensor.copyOf(Shape.of(1), 1f));
    try (outputs) {
      assertThatThrownBy(() -> Pipeline.inOrder(outputs, List.of("B")))
          .hasMessageContaining("gave no output 'B'");
    }
  }

  @Test
  void invalidRequest_isRefused_andFreed() {
    ModelServer server = server(List.of());
    InferenceRequest bad =
        InferenceRequest.of("m", TensorMap.of("Q", Tensor.copyOf(Shape.of(1, 2), 1f, 2f)));
    Requests.assertFails(
        server.infer(bad), ErrorCode.INVALID_ARGUMENT, "unexpected inference input 'Q'");
    InferenceRequest parameter =
        request("", List.of(), Parameters.copyOf(Map.of("timeout", "soon")), 1, 2);
    Requests.assertFails(server.infer(parameter), ErrorCode.INVALID_ARGUMENT, "'timeout'");
    assertThat(requests("invalid_argument")).isEqualTo(2);
    assertThat(server.requestsInFlight()).isZero();
  }

  @Test
  void predictorThatThrows_isAnInternalError() {
    backend.onPredict =
        inputs -> {
          throw new IllegalStateException("the engine broke");
        };
    ModelServer server = server(List.of());
    Requests.assertFails(
        server.infer(Requests.of("m", 1, 2)), ErrorCode.INTERNAL, "failed while running");
    assertThat(requests("internal")).isEqualTo(1);
  }

  @Test
  void plainSteps_runOnTheThreadsThatAreThere_innermostLast() {
    Step outer = new Step("outer", false);
    Step inner = new Step("inner", false);
    outer.pre = PipelineTest::plusOne;
    inner.post = PipelineTest::timesTen;
    ModelServer server = server(List.of(outer, inner));
    assertThat(Requests.y(server.infer(Requests.of("m", 1, 2)))).containsExactly(40, 60);
    assertThat(outer.trace).containsExactly("pre on platform", "post on platform");
    assertThat(inner.trace).containsExactly("pre on platform", "post on platform");
    server.close();
    assertThat(outer.closed).isTrue();
  }

  @Test
  void blockingSteps_runOnVirtualThreads_withoutHoldingTheCaller() {
    Step step = new Step("slow", true);
    step.pre =
        request -> {
          hold();
          return plusOne(request);
        };
    ModelServer server = server(List.of(step));
    CompletableFuture<InferenceResponse> future = server.infer(Requests.of("m", 1, 2));
    await(entered);
    assertThat(future).isNotDone();
    proceed.countDown();
    assertThat(Requests.y(future)).containsExactly(4, 6);
    assertThat(step.trace).containsExactly("pre on virtual", "post on virtual");
  }

  @Test
  void stepThatFails_isNamed_andEverythingIsFreed() {
    for (boolean mayBlock : List.of(false, true)) {
      Step first = new Step("first", mayBlock);
      first.pre = PipelineTest::plusOne;
      Step second = new Step("second", mayBlock);
      second.pre =
          request -> {
            throw InferenceException.invalidArgument("no such word");
          };
      ModelServer server = server(List.of(first, second));
      Requests.assertFails(
          server.infer(Requests.of("m", 1, 2)),
          ErrorCode.INVALID_ARGUMENT,
          "transformer 'second' failed to preprocess: no such word");
      assertThat(server.requestsInFlight()).isZero();
      Step third = new Step("third", mayBlock);
      third.post =
          response -> {
            throw new IllegalStateException("no labels");
          };
      ModelServer other = server(List.of(first, third));
      Requests.assertFails(
          other.infer(Requests.of("m", 1, 2)),
          ErrorCode.INTERNAL,
          "transformer 'third' failed to postprocess: no labels");
    }
  }

  @Test
  void cancelledDuringPreprocess_isGivenUpAfterTheStep() {
    Step step = new Step("slow", true);
    step.pre =
        request -> {
          hold();
          return plusOne(request);
        };
    ModelServer server = server(List.of(step));
    CompletableFuture<InferenceResponse> future = server.infer(Requests.of("m", 1, 2));
    await(entered);
    assertThat(future.cancel(true)).isTrue();
    assertThat(future).isCancelled();
    assertThat(server.requestsInFlight()).isZero();
    assertThat(requests("cancelled")).isEqualTo(1);
    proceed.countDown();
    server.close();
    assertThat(backend.runs).isEmpty();
  }

  @Test
  void cancelledWhileItWaits_neverRuns() {
    backend.onPredict = inputs -> hold();
    ModelServer server = server(List.of());
    CompletableFuture<InferenceResponse> running = server.infer(Requests.of("m", 1, 2));
    await(entered);
    CompletableFuture<InferenceResponse> waiting = server.infer(Requests.of("m", 3, 4));
    assertThat(waiting.cancel(false)).isTrue();
    assertThat(server.requestsInFlight()).isEqualTo(1);
    proceed.countDown();
    assertThat(Requests.y(running)).containsExactly(2, 4);
    server.close();
    assertThat(backend.runs).hasSize(1);
  }

  @Test
  void cancelledWhileItRuns_isAnsweredAtOnce_andItsResultIsFreed() {
    backend.onPredict = inputs -> hold();
    Step step = new Step("after", false);
    ModelServer server = server(List.of(step));
    CompletableFuture<InferenceResponse> running = server.infer(Requests.of("m", 1, 2));
    await(entered);
    assertThat(running.cancel(false)).isTrue();
    assertThat(running.cancel(false)).isTrue();
    proceed.countDown();
    server.close();
    assertThat(step.trace).containsExactly("pre on platform");
  }

  @Test
  void cancelledDuringPostprocess_freesTheResponse() {
    Step step = new Step("slow", true);
    step.post =
        response -> {
          hold();
          return timesTen(response);
        };
    ModelServer server = server(List.of(step));
    CompletableFuture<InferenceResponse> future = server.infer(Requests.of("m", 1, 2));
    await(entered);
    future.cancel(true);
    proceed.countDown();
    server.close();
    assertThat(future).isCancelled();
  }

  @Test
  void timeOutSetOnTheFuture_givesTheRequestUp() {
    backend.onPredict = inputs -> hold();
    ModelServer server = server(List.of());
    CompletableFuture<InferenceResponse> future =
        server.infer(Requests.of("m", 1, 2)).orTimeout(5, TimeUnit.MILLISECONDS);
    await(entered);
    Await.until("it is given up", future::isCompletedExceptionally);
    assertThat(future.exceptionNow()).isInstanceOf(TimeoutException.class);
    Await.until("it is not in flight", () -> server.requestsInFlight() == 0);
  }

  @Test
  void timeoutParameter_isADeadline() {
    backend.onPredict = inputs -> hold();
    ModelServer server = server(List.of());
    CompletableFuture<InferenceResponse> running = server.infer(Requests.of("m", 1, 2));
    await(entered);
    InferenceRequest timed =
        request("", List.of(), Parameters.copyOf(Map.of("timeout", 1_000)), 3, 4);
    Requests.assertFails(server.infer(timed), ErrorCode.DEADLINE_EXCEEDED, "");
    proceed.countDown();
    assertThat(Requests.y(running)).containsExactly(2, 4);
    assertThat(requests("deadline_exceeded")).isEqualTo(1);
  }

  @Test
  void tooManyRequestsInFlight_areShed() {
    backend.onPredict = inputs -> hold();
    RuntimeConfig config = RuntimeConfig.of(root.resolve("m")).withInFlightLimits(1, 1 << 20);
    ModelServer server = server(config, List.of());
    CompletableFuture<InferenceResponse> running = server.infer(Requests.of("m", 1, 2));
    await(entered);
    InferenceException shed = Requests.failure(server.infer(Requests.of("m", 3, 4)));
    assertThat(shed.code()).isEqualTo(ErrorCode.RESOURCE_EXHAUSTED);
    assertThat(shed.retryAfter()).hasValue(Duration.ofSeconds(1));
    assertThat(
            meters
                .get(Metric.SHEDS.meterName())
                .tags("reason", "in_flight_limit")
                .counter()
                .count())
        .isEqualTo(1);
    proceed.countDown();
    assertThat(Requests.y(running)).containsExactly(2, 4);
  }

  @Test
  void fullQueue_isShed_andFreed() {
    backend.onPredict = inputs -> hold();
    RuntimeConfig config =
        RuntimeConfig.of(root.resolve("m"))
            .withOptions(
                ModelOptions.read(Settings.of("flags", Map.<String, Object>of("queue-limit", 1))));
    ModelServer server = server(config, List.of());
    CompletableFuture<InferenceResponse> running = server.infer(Requests.of("m", 1, 2));
    await(entered);
    CompletableFuture<InferenceResponse> waiting = server.infer(Requests.of("m", 1, 2));
    Requests.assertFails(server.infer(Requests.of("m", 3, 4)), ErrorCode.RESOURCE_EXHAUSTED, "");
    proceed.countDown();
    assertThat(Requests.y(running)).containsExactly(2, 4);
    assertThat(Requests.y(waiting)).containsExactly(2, 4);
  }

  @Test
  void loggers_seeWhatTheModelGotAndGave_betweenTheSteps() {
    List<String> records = new CopyOnWriteArrayList<>();
    InferenceLogger logger =
        entry ->
            records.add(
                "%s %s %s %s %s"
                    .formatted(
                        entry.side(),
                        entry.id(),
                        entry.model(),
                        entry.tensors().isEmpty()
                            ? "none"
                            : entry.tensors().tensor(0).toFloats()[0],
                        entry.error() == null ? null : entry.error().code()));
    InferenceLogger broken =
        entry -> {
          throw new IllegalStateException("a logger must not throw");
        };
    Step step = new Step("step", false);
    step.pre = PipelineTest::plusOne;
    step.post = PipelineTest::timesTen;
    ModelServer server = server(List.of(step), broken, logger);
    try (var response = server.infer(request("r1", List.of(), Parameters.empty(), 1, 2)).join()) {
      assertThat(response.outputs().names()).containsExactly("Y");
    }
    assertThat(records)
        .containsExactly("MODEL_INPUTS r1 m:1 2.0 null", "PREDICTIONS r1 m:1 4.0 null");
    records.clear();
    backend.onPredict =
        inputs -> {
          throw InferenceException.invalidArgument("bad values");
        };
    Requests.assertFails(
        server.infer(request("r2", List.of(), Parameters.empty(), 1, 2)),
        ErrorCode.INVALID_ARGUMENT,
        "bad values");
    assertThat(records)
        .containsExactly(
            "MODEL_INPUTS r2 m:1 2.0 null", "PREDICTIONS r2 m:1 none INVALID_ARGUMENT");
  }

  @Test
  void headers_reachAModelThatUsesThem_andOnlySuchAOne() {
    backend.maxBatchSize = 0;
    Headers headers = action -> action.accept("X-User", "ann");
    for (boolean uses : new boolean[] {false, true}) {
      backend.usesParameters = uses;
      backend.runs.clear();
      ModelServer server = server(List.of());
      assertThat(Requests.y(server.infer(Requests.of("m", 1, 2), headers))).containsExactly(2, 4);
      assertThat(backend.runs.contains("{header.x-user=ann}")).isEqualTo(uses);
    }
  }

  /** What a subscriber was told. */
  private static final class Seen implements Flow.Subscriber<InferenceResponse> {
    private final List<String> events = new CopyOnWriteArrayList<>();
    private final CompletableFuture<Flow.Subscription> subscription = new CompletableFuture<>();

    @Override
    public void onSubscribe(Flow.Subscription to) {
      subscription.complete(to);
    }

    @Override
    public void onNext(InferenceResponse response) {
      try (response) {
        events.add(
            response.id()
                + " "
                + response.outputs().names()
                + response.outputs().tensor(0).toFloats()[0]);
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
  }

  private static Seen stream(ModelServer server) {
    Seen seen = new Seen();
    server.stream(request("r1", List.of(), Parameters.empty(), 1, 2), Headers.NONE).subscribe(seen);
    return seen;
  }

  @Test
  void everyResponseOfAStream_passesTheStepsAndTheLog_whenItIsAskedFor() {
    backend.responses = 3;
    List<String> records = new CopyOnWriteArrayList<>();
    Step step = new Step("step", false);
    step.pre = PipelineTest::plusOne;
    step.post = PipelineTest::timesTen;
    ModelServer server =
        server(
            List.of(step),
            entry -> records.add(entry.side() + " " + entry.tensors().tensor(0).toFloats()[0]));
    assertThat(server.models().describe(ModelId.latest("m")).streams()).isTrue();
    Seen seen = stream(server);
    seen.subscription.join().request(1);
    Await.until("one is there", () -> seen.events.size() == 1);
    assertThat(backend.runs).containsExactly("response 0");
    seen.subscription.join().request(5);
    Await.until("all are there", () -> seen.events.size() == 4);
    assertThat(seen.events).containsExactly("r1 [Y]40.0", "r1 [Y]80.0", "r1 [Y]120.0", "end");
    assertThat(records)
        .containsExactly(
            "MODEL_INPUTS 2.0", "PREDICTIONS 4.0", "PREDICTIONS 8.0", "PREDICTIONS 12.0");
    assertThat(server.requestsInFlight()).isZero();
    assertThat(requests("ok")).isEqualTo(1);
  }

  @Test
  void aStreamThatIsCancelled_givesEverythingBack() {
    backend.responses = 3;
    ModelServer server = server(List.of());
    Seen seen = stream(server);
    seen.subscription.join().request(1);
    Await.until("one is there", () -> seen.events.size() == 1);
    assertThat(server.requestsInFlight()).isEqualTo(1);
    seen.subscription.join().cancel();
    assertThat(server.requestsInFlight()).isZero();
    assertThat(requests("cancelled")).isEqualTo(1);
    assertThat(seen.events).hasSize(1);
  }

  @Test
  void aStepThatFails_endsTheStream() {
    backend.responses = 3;
    Step step = new Step("step", false);
    step.post =
        response -> {
          throw InferenceException.invalidArgument("no");
        };
    Seen behind = stream(server(List.of(step)));
    behind.subscription.join().request(2);
    Await.until("it failed", () -> behind.events.size() == 1);
    assertThat(behind.events)
        .containsExactly("INVALID_ARGUMENT transformer 'step' failed to postprocess: no");
    step.pre =
        request -> {
          throw InferenceException.invalidArgument("never");
        };
    Seen before = stream(server(List.of(step)));
    Await.until("it failed", () -> before.events.size() == 1);
    assertThat(before.events)
        .containsExactly("INVALID_ARGUMENT transformer 'step' failed to preprocess: never");
  }

  @Test
  void aModelThatDoesNotStream_saysSo() {
    ModelServer server = server(List.of());
    assertThatThrownBy(() -> server.stream(Requests.of("m", 1, 2), Headers.NONE))
        .hasMessage("model 'm' gives one response to a request");
    assertThat(server.requestsInFlight()).isZero();
  }

  @Test
  void properties_ofTheConfiguration_areInTheMetadata() {
    ModelServer server = server(List.of());
    assertThat(server.models().describe(ModelId.latest("m")).metadata().properties())
        .containsEntry("team", "blue");
  }
}
