package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * How the records of one model are treated.
 *
 * @param mode {@code mode}: which sides are logged
 * @param sampleRate {@code sample-rate}: the part of the inferences that is logged, 0 to 1
 * @param sampleHeader {@code sample-header}: the header of a request, in lower case, that decides
 *     on it whatever the rate; empty for none
 * @param payloadLimit {@code payload-limit}: bytes of tensors that a record keeps; the rest is cut
 * @param errors {@code errors}: whether failed inferences have a record on the predictions' side
 * @param format {@code format}
 * @param payload {@code payload}
 * @param topic {@code topic}: with {@code {model}} for the model's name
 * @param key {@code key}
 * @param delivery {@code delivery}
 * @param whenFull {@code when-full}
 */
record ModelSettings(
    LogMode mode,
    double sampleRate,
    String sampleHeader,
    int payloadLimit,
    boolean errors,
    MessageFormat format,
    PayloadForm payload,
    String topic,
    MessageKey key,
    Delivery delivery,
    WhenFull whenFull) {

  /** The defaults of a logger that writes messages of that format. */
  static ModelSettings defaults(MessageFormat format) {
    return new ModelSettings(
        LogMode.ALL,
        1,
        "",
        256 << 10,
        true,
        format,
        PayloadForm.AUTO,
        "",
        format.isAvro() ? MessageKey.NONE : MessageKey.INFERENCE_ID,
        Delivery.BEST_EFFORT,
        WhenFull.DROP);
  }

  /** These settings, but for what {@code settings} says; other keys are left alone. */
  ModelSettings with(Settings settings) {
    Optional<Long> limit = settings.size("payload-limit");
    if (limit.isPresent() && (limit.get() < 0 || limit.get() > 1 << 30)) {
      throw settings.bad("payload-limit", limit.get(), "a size of at most 1GB");
    }
    return new ModelSettings(
        LogMode.read(settings, "mode").orElse(mode),
        settings.string("sample-rate").map(text -> rate(settings, text)).orElse(sampleRate),
        settings
            .string("sample-header")
            .map(name -> name.toLowerCase(Locale.ROOT))
            .orElse(sampleHeader),
        limit.map(Long::intValue).orElse(payloadLimit),
        settings.bool("errors").orElse(errors),
        settings.oneOf("format", MessageFormat.class).orElse(format),
        settings.oneOf("payload", PayloadForm.class).orElse(payload),
        settings.string("topic").orElse(topic),
        settings.oneOf("key", MessageKey.class).orElse(key),
        settings.oneOf("delivery", Delivery.class).orElse(delivery),
        settings.oneOf("when-full", WhenFull.class).orElse(whenFull));
  }

  private static double rate(Settings settings, String text) {
    try {
      double rate = Double.parseDouble(text.strip());
      if (rate >= 0 && rate <= 1) {
        return rate;
      }
    } catch (NumberFormatException e) {
      throw settings.bad("sample-rate", text, "a number from 0 to 1");
    }
    throw settings.bad("sample-rate", text, "a number from 0 to 1");
  }

  /**
   * Refuses what does not go together.
   *
   * @throws InferenceException INVALID_ARGUMENT
   */
  void check() {
    if (payload == PayloadForm.RAW && (format.isAvro() || format == MessageFormat.JSON)) {
      throw InferenceException.invalidArgument(
          "the logger's payload 'raw' is not text, as format '%s' needs it"
              .formatted(spelled(format)));
    }
  }

  /** The topic of one model. */
  String topicOf(String model) {
    return topic.replace("{model}", model);
  }

  /** The settings by their keys, for people. */
  Map<String, Object> asMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("mode", spelled(mode));
    map.put("sample-rate", sampleRate);
    map.put("sample-header", sampleHeader);
    map.put("payload-limit", (long) payloadLimit);
    map.put("errors", errors);
    map.put("format", spelled(format));
    map.put("payload", spelled(payload));
    map.put("topic", topic);
    map.put("key", spelled(key));
    map.put("delivery", spelled(delivery));
    map.put("when-full", spelled(whenFull));
    return map;
  }

  static String spelled(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
