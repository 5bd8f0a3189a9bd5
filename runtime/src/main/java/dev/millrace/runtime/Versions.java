package dev.millrace.runtime;

import java.util.Comparator;

/** Version numbers: decimal, of any length, leading zeros do not count. */
final class Versions {
  /** Smallest number first; of canonical versions. */
  static final Comparator<String> ORDER =
      Comparator.comparingInt(String::length).thenComparing(Comparator.naturalOrder());

  private Versions() {}

  static boolean isNumeric(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return false;
      }
    }
    return !text.isEmpty();
  }

  /** The number without leading zeros. */
  static String canonical(String version) {
    int start = 0;
    while (start < version.length() - 1 && version.charAt(start) == '0') {
      start++;
    }
    return version.substring(start);
  }
}
