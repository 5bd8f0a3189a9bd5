package dev.millrace.server.triton;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.proto.inference.TraceSettingResponse;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Triton's settings of its tracing. Its own traces are not made here, and OpenTelemetry's are set
 * up otherwise: the settings say so, and can only be set to what they are.
 */
public final class TraceSettings {
  private static final Map<String, List<String>> SETTINGS = settings();

  private TraceSettings() {}

  private static Map<String, List<String>> settings() {
    Map<String, List<String>> settings = new LinkedHashMap<>();
    settings.put("trace_level", List.of("OFF"));
    settings.put("trace_rate", List.of("1000"));
    settings.put("trace_count", List.of("-1"));
    settings.put("log_frequency", List.of("0"));
    settings.put("trace_file", List.of(""));
    settings.put("trace_mode", List.of("triton"));
    return settings;
  }

  /** The settings, each with its values; only {@code trace_level} may have several. */
  static Map<String, List<String>> current() {
    return SETTINGS;
  }

  /**
   * Checks that changes change nothing.
   *
   * @param changes by key; no values for those of the start
   * @throws InferenceException INVALID_ARGUMENT for what is no setting, UNIMPLEMENTED for a change
   */
  static void change(Map<String, List<String>> changes) {
    changes.forEach((key, values) -> {
      List<String> present = SETTINGS.get(key);
      if (present == null) {
        throw InferenceException.invalidArgument(
            "unknown trace setting '%s', known are %s".formatted(key, SETTINGS.keySet()));
      }
      if (!values.isEmpty() && !values.equals(present)) {
        throw new InferenceException(
            ErrorCode.UNIMPLEMENTED,
            "tracing is not supported: '%s' cannot be set to %s".formatted(key, values));
      }
    });
  }

  /**
   * Answers a message with the settings.
   *
   * @throws InferenceException as {@link #change}
   */
  public static TraceSettingResponse answer(Map<String, List<String>> changes) {
    change(changes);
    TraceSettingResponse.Builder response = TraceSettingResponse.newBuilder();
    SETTINGS.forEach((key, values) ->
        response.putSettings(
            key, TraceSettingResponse.SettingValue.newBuilder().addAllValue(values).build()));
    return response.build();
  }
}
