package dev.millrace.server;

import static java.util.Objects.requireNonNull;

import java.util.Locale;
import java.util.Optional;

/**
 * One thing that can be configured: as the flag {@code --key}, the environment variable {@code
 * MILLRACE_KEY}, and the key in {@code millrace.yaml}.
 *
 * @param key in lower case with dashes
 * @param fallback what holds if nobody says otherwise; empty if that depends on other things
 * @param fallbackText the same for people
 * @param description what it does, for people; the first sentence stands alone
 */
record Setting<T>(
    String key,
    Group group,
    ValueType<T> type,
    Optional<T> fallback,
    String fallbackText,
    String description) {
  /** What settings are about; the order is that of the documentation. */
  enum Group {
    MODELS("Models"),
    MODEL("How models are served"),
    NETWORK("Network"),
    LIMITS("Limits"),
    LIFE("Start and stop"),
    OBSERVING("Logs and metrics"),
    LOGGER("Inference log");

    private final String title;

    Group(String title) {
      this.title = title;
    }

    String title() {
      return title;
    }
  }

  Setting {
    requireNonNull(key, "key is null");
    if (!key.matches("[a-z][a-z0-9]*(-[a-z0-9]+)*")) {
      throw new IllegalArgumentException("not in lower case with dashes: " + key);
    }
  }

  /** The flag. */
  String flag() {
    return "--" + key;
  }

  /** The environment variable. */
  String variable() {
    return "MILLRACE_" + key.toUpperCase(Locale.ROOT).replace('-', '_');
  }

  /** The fallback, of a setting that has one. */
  T requiredFallback() {
    return fallback.orElseThrow(
        () -> new IllegalStateException("setting has no fixed default: " + key));
  }
}
