package dev.millrace.logger;

import dev.millrace.api.Settings;
import dev.millrace.api.spi.InferenceLogger.Side;
import java.util.Locale;
import java.util.Optional;

/** Which sides of an inference are logged: Hopsworks' modes, and KServe's names for them. */
enum LogMode {
  ALL,
  MODEL_INPUTS,
  PREDICTIONS,
  NONE;

  boolean wants(Side side) {
    return switch (this) {
      case ALL -> true;
      case MODEL_INPUTS -> side == Side.MODEL_INPUTS;
      case PREDICTIONS -> side == Side.PREDICTIONS;
      case NONE -> false;
    };
  }

  /** The mode under {@code key}. */
  static Optional<LogMode> read(Settings settings, String key) {
    return settings
        .string(key)
        .map(text ->
            switch (text.strip().toLowerCase(Locale.ROOT).replace('_', '-')) {
              case "all" -> ALL;
              case "model-inputs", "request" -> MODEL_INPUTS;
              case "predictions", "response" -> PREDICTIONS;
              case "none" -> NONE;
              default ->
                  throw settings.bad(
                      key,
                      text,
                      "all, model-inputs (or request), predictions (or response) or none");
            });
  }
}
