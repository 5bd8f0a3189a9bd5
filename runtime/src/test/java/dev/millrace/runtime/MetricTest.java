package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LogListener.DropReason;
import dev.millrace.api.spi.LoggerProvider;
import dev.millrace.api.spi.Transformer;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.Meter;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class MetricTest {
  @TempDir private Path root;
  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final FakeBackend backend = new FakeBackend();

  /** A step that does nothing. */
  private static final class Passing implements Transformer {
    @Override
    public String name() {
      return "passing";
    }

    @Override
    public boolean mayBlock() {
      return false;
    }
  }

  private ModelServer server() throws IOException {
    Trees.write(root, "m/a.fake", "2");
    ModelServer server =
        ModelServer.create(
            RuntimeConfig.of(root.resolve("m")).withProcessors(1),
            Plugins.of(List.of(backend)),
            List.of(new Passing()),
            List.of(
                Loggers.start(
                    List.of(new FakeLogger()),
                    Optional.empty(),
                    Settings.empty("test"),
                    Map.of(),
                    registry)),
            registry,
            Ticker.system(),
            FrontEnd.NONE);
    server.models().loadAll(LoadListener.NONE);
    GenerationMeters generation = new GenerationMeters(registry, "chat");
    generation.showUpstream("http://a", generation, these -> 0, these -> 1);
    generation.showQueue(generation, these -> 0);
    new SpanMeters(registry).exported(1);
    GenerationMeters.Series series = generation.of("chat", "http://a");
    series.tokens(1, 2);
    return server;
  }

  /** Tells its listener of each record as if it were lost. */
  private static final class FakeLogger implements LoggerProvider {
    @Override
    public String name() {
      return "fake";
    }

    @Override
    public InferenceLogger start(
        Settings settings, Map<String, String> environment, LogListener listener) {
      return new InferenceLogger() {
        @Override
        public InferenceLogger forModel(ModelId model, Settings section) {
          listener.opened(model.name());
          return this;
        }

        @Override
        public void log(InferenceRecord entry) {
          listener.accepted(entry.model().name());
          listener.dropped(entry.model().name(), DropReason.NOT_SENT);
        }
      };
    }
  }

  private static void infer(ModelServer server, float... x) {
    try (InferenceResponse response = server.infer(Requests.of("m", x)).join()) {
      assertThat(response.outputs().size()).isEqualTo(2);
    }
  }

  @Test
  void everyMeter_isDocumented_andEveryDocumentedOneIsThereBeforeTheFirstRequest()
      throws IOException {
    try (ModelServer server = server()) {
      assertThat(server.meters()).isSameAs(registry);
      for (Metric metric : Metric.values()) {
        List<Meter> meters = List.copyOf(registry.find(metric.meterName()).meters());
        assertThat(meters).as(metric.name()).isNotEmpty();
        for (Meter meter : meters) {
          assertThat(meter.getId().getTags())
              .as(metric.name())
              .extracting(tag -> tag.getKey())
              .containsExactlyInAnyOrderElementsOf(metric.tags());
          assertThat(meter.getId().getDescription()).isEqualTo(metric.help());
        }
      }
      assertThat(registry.getMeters())
          .extracting(meter -> meter.getId().getName())
          .isSubsetOf(Stream.of(Metric.values()).map(Metric::meterName).toList());
    }
  }

  @Test
  void scrape_hasTheDocumentedNames() throws IOException {
    try (ModelServer server = server()) {
      infer(server, 1, 2, 3, 4);
      String scrape = registry.scrape();
      for (Metric metric : Metric.values()) {
        String suffix =
            switch (metric.type()) {
              case COUNTER, GAUGE -> "";
              case TIMER, SUMMARY -> "_bucket";
            };
        assertThat(scrape.lines().filter(line -> !line.startsWith("#")))
            .as(metric.name())
            .anyMatch(line -> line.matches(metric.prometheusName() + suffix + "[{ ].*"));
      }
      assertThat(scrape)
          .contains("request_predict_seconds_count{model_name=\"m\"} 1")
          .contains("millrace_requests_total{model=\"m\",outcome=\"ok\",version=\"1\"} 1.0")
          .contains("millrace_batch_size_rows_sum{model=\"m\",version=\"1\"} 2.0")
          .contains("millrace_inference_rows_total{model=\"m\",version=\"1\"} 2.0")
          .contains("millrace_inference_batches_total{model=\"m\",version=\"1\"} 1.0")
          .contains("millrace_queue_duration_seconds_count{model=\"m\",version=\"1\"} 1")
          .contains(
              "millrace_compute_duration_seconds_count{device=\"cpu\",model=\"m\",version=\"1\"} 1")
          .contains("millrace_model_instances{device=\"cpu\",model=\"m\",version=\"1\"} 1.0")
          .contains(
              "millrace_transformer_duration_seconds_count{model=\"m\",transformer=\"passing\",verb=\"postprocess\",version=\"1\"} 1")
          .contains("millrace_model_ready{model=\"m\",version=\"1\"} 1.0")
          .contains("millrace_logger_accepted_total{model=\"m\"} 2.0")
          .contains("millrace_logger_dropped_total{model=\"m\",reason=\"not_sent\"} 2.0")
          .contains("millrace_requests_in_flight 0.0");
    }
  }

  @Test
  void meters_stayOverAReload_andGoWithTheVersion() throws IOException {
    try (ModelServer server = server()) {
      infer(server, 1, 2);
      server.models().load("m", Map.of()).join();
      infer(server, 1, 2);
      assertThat(registry.scrape())
          .contains("millrace_requests_total{model=\"m\",outcome=\"ok\",version=\"1\"} 2.0");
      server.models().unload("m").join();
      Await.until(
          "its meters are gone",
          () -> registry.find(Metric.REQUESTS.meterName()).meters().isEmpty());
      assertThat(registry.scrape()).contains("millrace_model_ready{model=\"m\",version=\"1\"} 0.0");
    }
  }
}
