package dev.millrace.server;

import dev.millrace.api.Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The arguments of a command, made uniform. KServe writes flags with underscores and appends some
 * to the arguments that a runtime declares, so:
 *
 * <ul>
 *   <li>{@code --http_port} is {@code --http-port}, and {@code --model_dir} is {@code --model};
 *   <li>the flags of its batcher, {@code --max-batchsize} and {@code --max-latency} in
 *       milliseconds, are {@code --max-batch-size} and {@code --max-queue-delay};
 *   <li>a flag of KServe's that has no meaning here is left out with a warning;
 *   <li>an empty value, or {@code <no value>} as its templates write for what is not there, is as
 *       good as no flag.
 * </ul>
 *
 * @param list the arguments; every known flag that has a value is written {@code --flag=value}
 * @param warnings for people
 */
record Arguments(List<String> list, List<String> warnings) {
  /** Flags of KServe's model servers that have no underscore to tell them by. */
  private static final Set<String> KSERVE_FLAGS =
      Set.of(
          "--workers",
          "--namespace",
          "--protocol",
          "--nthread",
          "--nproc",
          "--event-loop",
          "--timeout-keep-alive");

  private static final String MAX_LATENCY = "--max-latency";

  /** Flags that others spell otherwise. */
  private static final Map<String, String> ALIASES =
      Map.of(
          "--model-dir",
          "--model",
          "--max-batchsize",
          "--max-batch-size",
          MAX_LATENCY,
          "--max-queue-delay");

  Arguments {
    list = List.copyOf(list);
    warnings = List.copyOf(warnings);
  }

  /**
   * Makes the arguments uniform.
   *
   * @param flags the flags that take a value, as in {@code --http-port}
   */
  static Arguments of(List<String> raw, Set<String> flags) {
    List<String> list = new ArrayList<>();
    List<String> warnings = new ArrayList<>();
    for (int i = 0; i < raw.size(); i++) {
      String argument = raw.get(i);
      if (argument.equals("--")) {
        list.addAll(raw.subList(i, raw.size()));
        break;
      }
      if (!argument.startsWith("--")) {
        if (!isUnset(argument)) {
          list.add(argument);
        }
        continue;
      }
      int equals = argument.indexOf('=');
      String written = equals < 0 ? argument : argument.substring(0, equals);
      String flag = written.replace('_', '-');
      flag = ALIASES.getOrDefault(flag, flag);
      boolean known = flags.contains(flag);
      if (!known && !written.contains("_") && !KSERVE_FLAGS.contains(written)) {
        list.add(argument);
        continue;
      }
      String value = null;
      if (equals >= 0) {
        value = argument.substring(equals + 1);
      } else if (i + 1 < raw.size() && !raw.get(i + 1).startsWith("--")) {
        value = raw.get(++i);
      }
      if (!known) {
        warnings.add("ignored flag " + written + ": not one of Millrace's" + suggest(flag, flags));
      } else if (value == null) {
        list.add(flag);
      } else if (!isUnset(value)) {
        boolean millis = written.replace('_', '-').equals(MAX_LATENCY) && value.matches("\\d+");
        list.add(flag + "=" + value + (millis ? "ms" : ""));
      }
    }
    return new Arguments(list, warnings);
  }

  private static String suggest(String flag, Set<String> flags) {
    return Settings.nearest(flag, flags).map(name -> "; did you mean " + name + "?").orElse("");
  }

  /** Whether a value says that there is none. */
  static boolean isUnset(String value) {
    return value.isBlank() || value.strip().equals("<no value>");
  }
}
