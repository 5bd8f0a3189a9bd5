package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Lines of a table; the first column holds names, the others figures. */
final class MarkdownTable {
  private final List<String> lines = new ArrayList<>();

  MarkdownTable(List<String> titles) {
    lines.add("| " + String.join(" | ", titles) + " |");
    lines.add("|---|" + "--:|".repeat(titles.size() - 1));
  }

  void row(List<String> fields) {
    lines.add("| " + String.join(" | ", fields) + " |");
  }

  /** A number as tables have it. */
  static String number(double value, int decimals) {
    return Double.isFinite(value)
        ? String.format(Locale.ROOT, "%." + decimals + "f", value)
        : "unstable";
  }

  @Override
  public String toString() {
    return String.join("\n", lines) + "\n";
  }
}
