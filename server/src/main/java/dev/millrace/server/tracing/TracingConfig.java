package dev.millrace.server.tracing;

import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * How requests are traced, in OpenTelemetry's own terms.
 *
 * @param variables OpenTelemetry's environment variables, {@code OTEL_*}
 */
public record TracingConfig(Map<String, String> variables) {
  private static final String PREFIX = "OTEL_";

  public TracingConfig {
    variables = Map.copyOf(variables);
  }

  /** Nothing is traced. */
  public static TracingConfig none() {
    return new TracingConfig(Map.of());
  }

  /** What a process's environment variables say. */
  public static TracingConfig of(Map<String, String> environment) {
    return new TracingConfig(
        environment.entrySet().stream()
            .filter(each -> each.getKey().startsWith(PREFIX) && !each.getValue().isBlank())
            .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue)));
  }

  /** Whether there is a place to send spans to, and nothing says not to. */
  boolean isOn() {
    return (variables.containsKey("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            || variables.containsKey("OTEL_EXPORTER_OTLP_ENDPOINT"))
        && !variables.getOrDefault("OTEL_SDK_DISABLED", "").strip().equalsIgnoreCase("true")
        && !variables.getOrDefault("OTEL_TRACES_EXPORTER", "").strip().equals("none");
  }

  /** The same as OpenTelemetry's properties for Java: {@code otel.service.name} and so on. */
  Map<String, String> properties() {
    return variables.entrySet().stream()
        .collect(
            Collectors.toMap(
                each -> each.getKey().toLowerCase(Locale.ROOT).replace('_', '.'),
                Map.Entry::getValue));
  }
}
