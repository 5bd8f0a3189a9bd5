package dev.millrace.server.llm;

import static dev.millrace.server.llm.LlmFixture.CHAT;
import static dev.millrace.server.llm.LlmFixture.chat;
import static dev.millrace.server.llm.LlmFixture.stream;
import static dev.millrace.server.tracing.OtlpCollector.attributes;
import static dev.millrace.server.tracing.OtlpCollector.parentId;
import static dev.millrace.server.tracing.OtlpCollector.spanId;
import static dev.millrace.server.tracing.OtlpCollector.traceId;
import static dev.millrace.server.tracing.OtlpCollector.traceparent;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.backend.llm.LlmBackend;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.tracing.OtlpCollector;
import io.opentelemetry.proto.trace.v1.Span;
import io.opentelemetry.proto.trace.v1.Span.SpanKind;
import io.opentelemetry.proto.trace.v1.Status.StatusCode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Spans of relayed requests, as a collector and the engines get them. */
class GenerationSpansTest {
  private static final String REQUEST_SPAN = "POST " + CHAT;
  private static final String ATTEMPT_SPAN = "chat scripted";
  private static final String TRACE = "0af7651916cd43dd8448eb211c80319c";
  private static final String CLIENT = "b7ad6b7169203331";

  @TempDir private Path directory;
  private OtlpCollector collector;
  private LlmFixture llm;

  @BeforeEach
  void start() throws IOException {
    collector = new OtlpCollector();
    llm = new LlmFixture(directory, 2);
    llm.with(
        llm.config().withTracing(collector.config(Map.of())),
        new Plugins(List.of(new LlmBackend()), List.of()));
  }

  @AfterEach
  void stop() throws IOException {
    llm.close();
    collector.close();
  }

  @Test
  void attempt_hasASpanBelowTheRequests_whichTheEngineIsToldOf() throws Exception {
    llm.model("scripted", llm.engines(1)).start();

    llm.post(CHAT, stream("one two"), "traceparent", "00-" + TRACE + "-" + CLIENT + "-01");

    Span request = collector.await(REQUEST_SPAN);
    assertThat(traceId(request)).isEqualTo(TRACE);
    assertThat(parentId(request)).isEqualTo(CLIENT);
    Span attempt = collector.await(ATTEMPT_SPAN);
    assertThat(attempt.getKind()).isEqualTo(SpanKind.SPAN_KIND_CLIENT);
    assertThat(parentId(attempt)).isEqualTo(spanId(request));
    assertThat(attempt.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_UNSET);
    assertThat(attributes(attempt))
        .containsEntry("gen_ai.operation.name", "chat")
        .containsEntry("gen_ai.request.model", "scripted")
        .containsEntry("server.port", Integer.toString(llm.engine().uri().getPort()))
        .containsKeys("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens");
    assertThat(llm.engine().awaitRequests(1).getFirst().header("traceparent"))
        .isEqualTo(traceparent(attempt));
  }

  @Test
  void attemptsThatFail_haveASpanEach() throws Exception {
    llm.model("scripted", llm.engines(2)).start();
    llm.engine(0).script("status=503");
    llm.engine(1).script("status=503");

    assertThat(llm.post(CHAT, chat("hello")).statusCode()).isEqualTo(503);

    List<Span> attempts =
        collector.await(3).stream().filter(span -> span.getName().equals(ATTEMPT_SPAN)).toList();
    Span request = collector.await(REQUEST_SPAN);
    assertThat(attempts)
        .hasSize(2)
        .allSatisfy(attempt -> {
          assertThat(parentId(attempt)).isEqualTo(spanId(request));
          assertThat(attempt.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_ERROR);
          assertThat(attributes(attempt)).containsEntry("error.type", "503");
        });
    assertThat(request.getStatus().getCode()).isEqualTo(StatusCode.STATUS_CODE_ERROR);
  }
}
