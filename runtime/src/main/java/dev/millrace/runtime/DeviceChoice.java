package dev.millrace.runtime;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Where a configuration wants a model to run. */
public sealed interface DeviceChoice {
  /** {@code auto}: the best device that the backend has. */
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

  /** {@code gpu} or {@code gpu:N}; without a number, the first one. */
  record Gpu(OptionalInt index) implements DeviceChoice {
    @Override
    public String toString() {
      return index.isPresent() ? "gpu:" + index.getAsInt() : "gpu";
    }
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
