package dev.millrace.runtime;

import dev.millrace.api.Settings;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Where a configuration wants a model to run. */
public sealed interface DeviceChoice {
  /** {@code auto}: a GPU that the backend can use, else the CPU. */
  record Auto() implements DeviceChoice {
    @Override
    public String toString() {
      return "auto";
    }
  }

  /** {@code cpu}. */
  record Cpu() implements DeviceChoice {
    @Override
    public String toString() {
      return "cpu";
    }
  }

  /** {@code gpu} or {@code gpu:N}; without a number, all of them. */
  record Gpu(OptionalInt index) implements DeviceChoice {
    @Override
    public String toString() {
      return index.isPresent() ? "gpu:" + index.getAsInt() : "gpu";
    }
  }

  /**
   * The choice under {@code device}.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT if it is none
   */
  static Optional<DeviceChoice> read(Settings settings) {
    return settings
        .string("device")
        .map(text ->
            parse(text).orElseThrow(() -> settings.bad("device", text, "auto, cpu, gpu or gpu:N")));
  }

  /** The choice that {@code text} spells; empty if it spells none. */
  static Optional<DeviceChoice> parse(String text) {
    Matcher matcher = Pattern.compile("auto|cpu|gpu(?::(\\d{1,4}))?").matcher(text.strip());
    if (!matcher.matches()) {
      return Optional.empty();
    }
    return Optional.of(
        switch (matcher.group()) {
          case "auto" -> new Auto();
          case "cpu" -> new Cpu();
          case "gpu" -> new Gpu(OptionalInt.empty());
          default -> new Gpu(OptionalInt.of(Integer.parseInt(matcher.group(1))));
        });
  }
}
