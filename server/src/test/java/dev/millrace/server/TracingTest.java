package dev.millrace.server;

import static dev.millrace.server.tracing.OtlpCollector.attributes;
import static dev.millrace.server.tracing.OtlpCollector.parentId;
import static dev.millrace.server.tracing.OtlpCollector.spanId;
import static dev.millrace.server.tracing.OtlpCollector.traceId;
import static dev.millrace.server.tracing.OtlpCollector.traceparent;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LoggerProvider;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.ServerReadyRequest;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.RestClient.Answer;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.tracing.OtlpCollector;
import dev.millrace.server.tracing.TracingConfig;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import io.opentelemetry.proto.trace.v1.Span;
import io.opentelemetry.proto.trace.v1.Span.SpanKind;
import io.opentelemetry.proto.trace.v1.Status.StatusCode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Spans of requests, as a collector gets them. */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class TracingTest {
  private static final String INFER = "/v2/models/sum/infer";
  private static final String REST_SPAN = "POST /v2/models/{model}/infer";
  private static final String GRPC_SPAN = "inference.GRPCInferenceService/ModelInfer";
  private static final String TRACE = "0af7651916cd43dd8448eb211c80319c";
  private static final String CLIENT = "b7ad6b7169203331";
  private static final String SAMPLED = "00-" + TRACE + "-" + CLIENT + "-01";
  private static final String UNSAMPLED = "00-" + TRACE + "-" + CLIENT + "-00";

  @TempDir private Path directory;
  private final Step step = new Step();
  private final Queue<String> logged = new ConcurrentLinkedQueue<>();
  private OtlpCollector collector;

  /** Remembers who the header says is its parent, and does to a request what it is told. */
  private static final class Step implements TransformerFactory, Transformer {
    private final Queue<Optional<String>> parents = new ConcurrentLinkedQueue<>();
    private volatile Consumer<InferenceRequest> before = request -> {};

    @Override
    public String name() {
      return "step";
    }

    @Override
    public Transformer create(TransformerSource source) {
      return this;
    }

    @Override
    public boolean mayBlock() {
      return true;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      parents.add(request.header("traceparent"));
      before.accept(request);
      return request;
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      return response;
    }
  }

  /** Remembers who each record says is its parent. */
  private final class Log implements LoggerProvider {
    @Override
    public String name() {
      return "log";
    }

    @Override
    public InferenceLogger start(
        Settings settings, Map<String, String> environment, LogListener listener) {
      return entry ->
          logged.add(
              entry.parameters().string(InferenceRequest.HEADER_PREFIX + "traceparent").orElse(""));
    }
  }

  @BeforeEach
  void startCollector() throws IOException {
    collector = new OtlpCollector();
  }

  @AfterEach
  void stopCollector() {
    collector.close();
  }

  /** A server of the model {@code sum}, with the step around it and the log beside it. */
  private MillraceServer start(TracingConfig tracing) throws IOException {
    return start(tracing, "");
  }

  private MillraceServer start(TracingConfig tracing, String behaviour) throws IOException {
    Path model = SumModels.write(directory, "sum", behaviour);
    Files.writeString(model.resolve("model.yaml"), "transformers: [step]");
    return MillraceServer.start(
        ServerConfig.of(model)
            .onFreePorts()
            .withStopTimes(Duration.ZERO, Duration.ofSeconds(1))
            .withLogger(LoggerConfig.of(Map.of()))
            .withTracing(tracing),
        new Plugins(List.of(new SumBackend()), List.of(step), List.of(new Log())));
  }

  private static Answer infer(MillraceServer server, String... headers) throws IOException {
    try (RestClient client = new RestClient(server.port())) {
      client.send("POST", INFER, SumModels.REQUEST, headers);
      return client.receive();
    }
  }

  private static double spans(MillraceServer server, String outcome) {
    return server.meters().get("millrace.spans").tag("outcome", outcome).counter().count();
  }

  @Test
  void restRequest_hasASpanBelowTheClients_andOneForEachStepBelowIt() throws IOException {
    try (MillraceServer server = start(collector.config(Map.of()))) {
      assertThat(infer(server, "Traceparent: " + SAMPLED, "Tracestate: a=b").status())
          .isEqualTo(200);

      Span request = collector.await(REST_SPAN);
      assertThat(request.getKind()).isEqualTo(SpanKind.SPAN_KIND_SERVER);
      assertThat(traceId(request)).isEqualTo(TRACE);
      assertThat(parentId(request)).isEqualTo(CLIENT);
      assertThat(request.getTraceState()).isEqualTo("a=b");
      assertThat(request.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_UNSET);
      assertThat(attributes(request))
          .containsEntry("http.request.method", "POST")
          .containsEntry("http.route", "/v2/models/{model}/infer")
          .containsEntry("url.path", INFER)
          .containsEntry("url.scheme", "http")
          .containsEntry("http.response.status_code", "200");
      assertThat(collector.await(4))
          .extracting(Span::getName)
          .containsExactlyInAnyOrder(
              REST_SPAN, "preprocess step", "predict sum", "postprocess step");
      for (String name : List.of("preprocess step", "predict sum", "postprocess step")) {
        Span part = collector.await(name);
        assertThat(traceId(part)).as(name).isEqualTo(TRACE);
        assertThat(parentId(part)).as(name).isEqualTo(spanId(request));
        assertThat(part.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_UNSET);
        assertThat(part.getStartTimeUnixNano())
            .isGreaterThanOrEqualTo(request.getStartTimeUnixNano());
      }
      assertThat(attributes(collector.await("predict sum")))
          .containsEntry("millrace.model.name", "sum")
          .containsEntry("millrace.model.version", "1")
          .containsEntry("millrace.batch.size", "1")
          .containsKeys("millrace.queue.duration", "millrace.compute.duration");
      assertThat(step.parents).containsExactly(Optional.of(traceparent(request)));
      assertThat(logged).isNotEmpty().containsOnly(traceparent(request));
      assertThat(collector.resources().getFirst())
          .containsEntry("service.name", "millrace")
          .containsEntry("service.version", Version.text());
    }
  }

  @Test
  void grpcCall_hasASpanBelowTheClients_andOneForEachStepBelowIt() throws IOException {
    try (MillraceServer server = start(collector.config(Map.of()))) {
      ManagedChannel channel =
          NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
      Metadata metadata = new Metadata();
      metadata.put(Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER), SAMPLED);
      try {
        var _ = HealthGrpc.newBlockingStub(channel).check(HealthCheckRequest.getDefaultInstance());
        GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub stub =
            GRPCInferenceServiceGrpc.newBlockingStub(channel)
                .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
        var _ = stub.serverReady(ServerReadyRequest.getDefaultInstance());
        var _ = stub.modelInfer(SumModels.grpcRequest());
      } finally {
        channel.shutdownNow();
      }

      Span call = collector.await(GRPC_SPAN);
      assertThat(call.getKind()).isEqualTo(SpanKind.SPAN_KIND_SERVER);
      assertThat(traceId(call)).isEqualTo(TRACE);
      assertThat(parentId(call)).isEqualTo(CLIENT);
      assertThat(attributes(call))
          .containsEntry("rpc.system.name", "grpc")
          .containsEntry("rpc.method", GRPC_SPAN)
          .containsEntry("rpc.response.status_code", "OK");
      assertThat(collector.await(4))
          .as("probes have no spans")
          .extracting(Span::getName)
          .containsExactlyInAnyOrder(
              GRPC_SPAN, "preprocess step", "predict sum", "postprocess step");
      assertThat(parentId(collector.await("predict sum"))).isEqualTo(spanId(call));
      assertThat(step.parents).containsExactly(Optional.of(traceparent(call)));
    }
  }

  @Test
  void failingStep_hasAFailedSpan_andFailsTheRequestsIfTheServerIsAtFault() throws IOException {
    try (MillraceServer server = start(collector.config(Map.of()))) {
      step.before =
          request -> {
            throw new IllegalStateException("no luck");
          };
      assertThat(infer(server).status()).isEqualTo(500);

      Span failed = collector.await("preprocess step");
      assertThat(failed.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_ERROR);
      assertThat(failed.getStatus().getMessage()).contains("no luck");
      assertThat(attributes(failed)).containsEntry("error.type", "internal");
      Span request = collector.await(REST_SPAN);
      assertThat(request.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_ERROR);
      assertThat(attributes(request)).containsEntry("error.type", "500");
    }
  }

  @Test
  void requestThatIsWrong_failsItsStep_butNotTheServersSpan() throws IOException {
    try (MillraceServer server = start(collector.config(Map.of()))) {
      step.before =
          request -> {
            throw InferenceException.invalidArgument("not like this");
          };
      assertThat(infer(server).status()).isEqualTo(400);

      assertThat(collector.await("preprocess step").getStatus().getCode())
          .isEqualTo(StatusCode.STATUS_CODE_ERROR);
      Span request = collector.await(REST_SPAN);
      assertThat(request.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_UNSET);
      assertThat(attributes(request)).containsEntry("http.response.status_code", "400");
    }
  }

  @Test
  void predictionThatIsTooLate_hasAFailedSpan() throws IOException {
    try (MillraceServer server = start(collector.config(Map.of()), "slow 200ms");
        RestClient client = new RestClient(server.port())) {
      String body = "{\"parameters\":{\"timeout\":1000}," + SumModels.REQUEST.substring(1);
      assertThat(client.call("POST", INFER, body).status()).isIn(503, 504);

      Span prediction = collector.await("predict sum");
      assertThat(prediction.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_ERROR);
      assertThat(attributes(prediction).get("error.type"))
          .isIn("deadline_exceeded", "unavailable"); // too late, or foreseen to be
    }
  }

  @Test
  void withoutAnEndpoint_orWhenDisabled_nothingIsSent_andHeadersStayTheClients()
      throws IOException {
    List<TracingConfig> off =
        List.of(
            TracingConfig.none(),
            TracingConfig.of(Map.of("OTEL_SERVICE_NAME", "m", "OTEL_EXPORTER_OTLP_ENDPOINT", "")),
            collector.config(Map.of("OTEL_SDK_DISABLED", "true")),
            collector.config(Map.of("OTEL_TRACES_EXPORTER", "none")),
            collector.config(Map.of("OTEL_TRACES_SAMPLER", "sometimes")));
    for (TracingConfig each : off) {
      step.parents.clear();
      try (MillraceServer server = start(each)) {
        assertThat(infer(server, "traceparent: " + SAMPLED).status()).isEqualTo(200);
        assertThat(step.parents).as(each.toString()).containsExactly(Optional.of(SAMPLED));
      }
    }
    assertThat(collector.requests()).isZero();
  }

  @Test
  void sampler_decidesWhereTheClientDoesNot() throws IOException {
    Map<String, String> never = Map.of("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    try (MillraceServer server = start(collector.config(never))) {
      assertThat(infer(server).status()).isEqualTo(200);
      assertThat(infer(server, "traceparent: " + UNSAMPLED).status()).isEqualTo(200);
      assertThat(infer(server, "traceparent: " + SAMPLED).status()).isEqualTo(200);
    }
    List<Span> spans = collector.await(4);
    assertThat(spans).hasSize(4).allMatch(span -> traceId(span).equals(TRACE));
    List<String> told = step.parents.stream().map(Optional::orElseThrow).toList();
    // The flag 02 says that the id is random.
    assertThat(told.get(0))
        .as("a trace of its own, not sampled")
        .matches("00-\\w{32}-\\w{16}-0[02]");
    assertThat(told.get(1)).startsWith("00-" + TRACE).endsWith("-00");
    assertThat(told.get(2)).isEqualTo(traceparent(collector.await(REST_SPAN)));
  }

  @Test
  void namesAndAttributes_areTheVariables() throws IOException {
    Map<String, String> variables =
        Map.of("OTEL_SERVICE_NAME", "fraud", "OTEL_RESOURCE_ATTRIBUTES", "deployment=blue");
    try (MillraceServer server = start(collector.config(variables))) {
      assertThat(infer(server).status()).isEqualTo(200);
      assertThat(RestClient.get(server.port(), "/metrics").status()).isEqualTo(200);
      assertThat(RestClient.get(server.port(), "/v2/health/ready").status()).isEqualTo(200);
    }
    assertThat(collector.await(4)).as("probes have no spans").hasSize(4);
    assertThat(collector.resources().getFirst())
        .containsEntry("service.name", "fraud")
        .containsEntry("deployment", "blue");
  }

  @Test
  void collectorThatIsDown_failsNoRequest_andIsCounted() throws IOException {
    int port;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = socket.getLocalPort();
    }
    Map<String, String> variables =
        Map.of(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://localhost:" + port + "/v1/traces",
            "OTEL_JAVA_EXPORTER_OTLP_RETRY_DISABLED",
            "true");
    try (MillraceServer server = start(collector.config(variables))) {
      assertThat(infer(server).status()).isEqualTo(200);
      Await.until("the spans are counted", () -> spans(server, "failed") == 4);
      assertThat(infer(server).status()).isEqualTo(200);
      assertThat(spans(server, "exported")).isZero();
    }
  }

  @Test
  void collectorThatIsSlow_holdsNoRequestUp_andWhatThereIsNoRoomForIsCounted() throws IOException {
    int count = 30;
    Map<String, String> variables =
        Map.of("OTEL_BSP_MAX_QUEUE_SIZE", "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4");
    collector.hold();
    try (MillraceServer server = start(collector.config(variables))) {
      for (int i = 0; i < count; i++) {
        assertThat(infer(server).status()).isEqualTo(200);
      }
      Await.until("some are dropped", () -> spans(server, "dropped") > 0);
      assertThat(spans(server, "exported")).isZero();

      collector.release();
      Await.until(
          "all are accounted for",
          () -> spans(server, "exported") + spans(server, "dropped") == 4 * count);
      assertThat(spans(server, "exported")).isEqualTo(collector.await(8).size());
      assertThat(spans(server, "failed")).isZero();
    }
  }

  @Test
  void stop_sendsWhatWaits() throws IOException {
    Map<String, String> variables = Map.of("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    try (MillraceServer server = start(collector.config(variables))) {
      assertThat(infer(server).status()).isEqualTo(200);
      assertThat(collector.requests()).isZero();
    }
    assertThat(collector.requests()).isEqualTo(1);
    assertThat(collector.await(4)).hasSize(4);
  }

  @Test
  void stop_doesNotWaitForTheCollectorBeyondTheGracePeriod() throws IOException {
    Map<String, String> patient =
        Map.of("OTEL_BSP_EXPORT_TIMEOUT", "3600000", "OTEL_EXPORTER_OTLP_TIMEOUT", "3600000");
    collector.hold();
    try (MillraceServer server = start(collector.config(patient))) {
      assertThat(infer(server).status()).isEqualTo(200);
      Await.until("the collector is asked", () -> collector.requests() > 0);
    }
    // Here the server has stopped, though nobody has released the collector.
    collector.release();
    assertThat(collector.await(1)).isNotEmpty();
  }
}
