package dev.millrace.server.triton;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.proto.inference.LogSettingsRequest;
import dev.millrace.proto.inference.LogSettingsResponse;
import dev.millrace.server.log.LogControl;
import dev.millrace.server.log.LogLevel;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Triton's settings of the log, over the levels of this one: {@code log_verbose_level} 1 is DEBUG
 * and 2 is TRACE; without, the most talkative of {@code log_info}, {@code log_warning} and {@code
 * log_error} that is on is the level, which has the others on too.
 */
public final class LogSettings {
  private static final String FILE = "log_file";
  private static final String INFO = "log_info";
  private static final String WARNING = "log_warning";
  private static final String ERROR = "log_error";
  private static final String VERBOSE = "log_verbose_level";
  private static final String FORMAT = "log_format";

  /** Every line has the time in this format. */
  private static final String FORMAT_OF_TIMES = "ISO8601";

  private LogSettings() {}

  /** The settings in force. */
  static Map<String, Object> current() {
    LogLevel level = LogControl.level();
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put(FILE, "");
    settings.put(INFO, level.compareTo(LogLevel.INFO) >= 0);
    settings.put(WARNING, level.compareTo(LogLevel.WARN) >= 0);
    settings.put(ERROR, level.compareTo(LogLevel.ERROR) >= 0);
    settings.put(VERBOSE, (long) Math.max(0, level.compareTo(LogLevel.INFO)));
    settings.put(FORMAT, FORMAT_OF_TIMES);
    return settings;
  }

  /**
   * Changes some settings.
   *
   * @param changes texts, truth values and whole numbers by key
   * @throws InferenceException INVALID_ARGUMENT for what is no setting or no value of one,
   *     UNIMPLEMENTED for what cannot be changed; then nothing is
   */
  static void change(Map<String, Object> changes) {
    Map<String, Object> settings = current();
    changes.forEach((key, value) -> {
      check(key, value);
      settings.put(key, value);
    });
    LogLevel wanted = level(settings);
    if (wanted != LogControl.level() && !LogControl.set(wanted)) {
      throw new InferenceException(
          ErrorCode.UNIMPLEMENTED, "the log of this process cannot be changed");
    }
  }

  private static void check(String key, Object value) {
    switch (key) {
      case INFO, WARNING, ERROR -> require(key, value, value instanceof Boolean, "a boolean");
      case VERBOSE ->
          require(key, value, value instanceof Long level && level >= 0, "a number from 0 on");
      case FORMAT -> {
        require(
            key,
            value,
            value.equals("default") || value.equals(FORMAT_OF_TIMES),
            "default or " + FORMAT_OF_TIMES);
        if (!value.equals(FORMAT_OF_TIMES)) {
          throw new InferenceException(
              ErrorCode.UNIMPLEMENTED, "log_format is always " + FORMAT_OF_TIMES);
        }
      }
      case FILE -> {
        require(key, value, value instanceof String, "a string");
        if (!value.equals("")) {
          throw new InferenceException(
              ErrorCode.UNIMPLEMENTED,
              "log_file cannot be set: the log goes to the standard output");
        }
      }
      default ->
          throw InferenceException.invalidArgument(
              "unknown log setting '%s', known are %s".formatted(key, current().keySet()));
    }
  }

  private static void require(String key, Object value, boolean holds, String expected) {
    if (!holds) {
      throw InferenceException.invalidArgument(
          "log setting '%s' must be %s, got '%s'".formatted(key, expected, value));
    }
  }

  private static LogLevel level(Map<String, Object> settings) {
    if (settings.get(VERBOSE) instanceof Long verbose && verbose > 0) {
      return verbose == 1 ? LogLevel.DEBUG : LogLevel.TRACE;
    }
    if (isOn(settings, INFO)) {
      return LogLevel.INFO;
    }
    if (isOn(settings, WARNING)) {
      return LogLevel.WARN;
    }
    return isOn(settings, ERROR) ? LogLevel.ERROR : LogLevel.OFF;
  }

  private static boolean isOn(Map<String, Object> settings, String flag) {
    return Boolean.TRUE.equals(settings.get(flag));
  }

  /**
   * Makes the changes that a message asks for, if any, and answers with what is then in force.
   *
   * @throws InferenceException as {@link #change}
   */
  public static LogSettingsResponse answer(LogSettingsRequest request) {
    Map<String, Object> changes = new LinkedHashMap<>();
    request
        .getSettingsMap()
        .forEach((key, value) -> {
          switch (value.getParameterChoiceCase()) {
            case BOOL_PARAM -> changes.put(key, value.getBoolParam());
            case UINT32_PARAM -> changes.put(key, Integer.toUnsignedLong(value.getUint32Param()));
            case STRING_PARAM -> changes.put(key, value.getStringParam());
            // A client that only asks sends the keys.
            case PARAMETERCHOICE_NOT_SET -> {}
          }
        });
    if (!changes.isEmpty()) {
      change(changes);
    }
    LogSettingsResponse.Builder response = LogSettingsResponse.newBuilder();
    current().forEach((key, value) -> response.putSettings(key, message(value)));
    return response.build();
  }

  private static LogSettingsResponse.SettingValue message(Object value) {
    LogSettingsResponse.SettingValue.Builder message =
        LogSettingsResponse.SettingValue.newBuilder();
    switch (value) {
      case Boolean flag -> message.setBoolParam(flag);
      case Long number -> message.setUint32Param(Math.toIntExact(number));
      default -> message.setStringParam(value.toString());
    }
    return message.build();
  }
}
