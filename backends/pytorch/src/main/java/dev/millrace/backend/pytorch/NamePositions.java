package dev.millrace.backend.pytorch;

import dev.millrace.api.TensorSpec;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The positions that names stand for, by Triton's conventions. */
final class NamePositions {
  private static final Pattern NUMBERED = Pattern.compile("(.*)__(\\d{1,4})");

  private NamePositions() {}

  /**
   * The position of each declared tensor: by {@code names} if all are among them, else by the
   * number after the last {@code __} if all have one, else as they are declared.
   */
  static int[] of(List<TensorSpec> declared, List<String> names) {
    int[] positions = new int[declared.size()];
    boolean named = !names.isEmpty();
    for (TensorSpec spec : declared) {
      named &= names.contains(spec.name());
    }
    boolean numbered = declared.stream().allMatch(spec -> numberOf(spec.name()) >= 0);
    for (int i = 0; i < positions.length; i++) {
      String name = declared.get(i).name();
      positions[i] = named ? names.indexOf(name) : numbered ? numberOf(name) : i;
    }
    return positions;
  }

  private static int numberOf(String name) {
    Matcher matcher = NUMBERED.matcher(name);
    return matcher.matches() ? Integer.parseInt(matcher.group(2)) : -1;
  }

  /** The number in {@code prefix__number}, or -1 if the name is another. */
  static int numberOf(String name, String prefix) {
    return name.startsWith(prefix + "__") && name.indexOf("__") == name.lastIndexOf("__")
        ? numberOf(name)
        : -1;
  }
}
