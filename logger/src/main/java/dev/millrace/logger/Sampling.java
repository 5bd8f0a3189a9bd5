package dev.millrace.logger;

import dev.millrace.api.Parameters;
import dev.millrace.api.spi.InferenceLogger.Side;
import java.util.Locale;

/** Decides whether an inference is logged, so that both sides of it are decided alike. */
final class Sampling {
  private Sampling() {}

  static boolean wants(ModelSettings settings, Side side, String id, Parameters parameters) {
    // Version 3 has both sides in one message, whatever is asked for.
    boolean wanted =
        settings.format() == MessageFormat.HOPSWORKS_V3
            ? settings.mode() != LogMode.NONE
            : settings.mode().wants(side);
    if (!wanted) {
      return false;
    }
    if (!settings.sampleHeader().isEmpty()) {
      Object header = parameters.asMap().get("header." + settings.sampleHeader());
      if (header != null) {
        switch (header.toString().strip().toLowerCase(Locale.ROOT)) {
          case "true", "1", "yes", "on", "all" -> {
            return true;
          }
          case "false", "0", "no", "off", "none" -> {
            return false;
          }
          default -> {} // says nothing
        }
      }
    }
    return settings.sampleRate() >= 1 || fraction(id) < settings.sampleRate();
  }

  /** A number from 0 to below 1 that depends on the id alone and is spread evenly. */
  private static double fraction(String id) {
    // The finalizer of MurmurHash3 (Austin Appleby, public domain).
    int hash = id.hashCode();
    hash = (hash ^ (hash >>> 16)) * 0x85ebca6b;
    hash = (hash ^ (hash >>> 13)) * 0xc2b2ae35;
    hash ^= (hash >>> 16);
    return Integer.toUnsignedLong(hash) / 4294967296.0;
  }
}
