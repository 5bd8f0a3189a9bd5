package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Lines through points, as SVG. */
final class LinePlot {
  private static final int WIDTH = 720;
  private static final int HEIGHT = 440;
  private static final int LEFT = 70;
  private static final int RIGHT = 150;
  private static final int TOP = 40;
  private static final int BOTTOM = 50;
  private static final String[] COLOURS = {
    "#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"
  };

  private final String title;
  private final String abscissa;
  private final String ordinate;
  private final boolean logarithmic;
  private final List<Series> lines = new ArrayList<>();

  /** Points from left to right; those that are not finite are left out. */
  private record Series(String name, double[] x, double[] y) {}

  /**
   * @param logarithmic whether the ordinate is
   */
  LinePlot(String title, String abscissa, String ordinate, boolean logarithmic) {
    this.title = title;
    this.abscissa = abscissa;
    this.ordinate = ordinate;
    this.logarithmic = logarithmic;
  }

  void line(String name, double[] x, double[] y) {
    lines.add(new Series(name, x.clone(), y.clone()));
  }

  String svg() {
    Range horizontal = new Range(false);
    Range vertical = new Range(logarithmic);
    for (Series line : lines) {
      for (int i = 0; i < line.x.length; i++) {
        if (Double.isFinite(line.y[i])) {
          horizontal.include(line.x[i]);
          vertical.include(line.y[i]);
        }
      }
    }
    StringBuilder svg = new StringBuilder();
    append(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\""
            + " font-size=\"12\">",
        WIDTH,
        HEIGHT);
    append(svg, "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>", WIDTH, HEIGHT);
    append(svg, "<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>", LEFT, escaped(title));
    for (double tick : horizontal.ticks()) {
      double x = x(horizontal, tick);
      grid(svg, x, TOP, x, HEIGHT - BOTTOM);
      append(
          svg,
          "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
          x,
          HEIGHT - BOTTOM + 18,
          label(tick));
    }
    for (double tick : vertical.ticks()) {
      double y = y(vertical, tick);
      grid(svg, LEFT, y, WIDTH - RIGHT, y);
      append(
          svg,
          "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
          LEFT - 6,
          y + 4,
          label(tick));
    }
    append(
        svg,
        "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>",
        (LEFT + WIDTH - RIGHT) / 2,
        HEIGHT - 12,
        escaped(abscissa));
    append(
        svg,
        "<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>",
        (TOP + HEIGHT - BOTTOM) / 2,
        escaped(ordinate));
    for (int i = 0; i < lines.size(); i++) {
      draw(svg, lines.get(i), COLOURS[i % COLOURS.length], i, horizontal, vertical);
    }
    return svg.append("</svg>\n").toString();
  }

  private static void draw(
      StringBuilder svg, Series line, String colour, int index, Range horizontal, Range vertical) {
    StringBuilder points = new StringBuilder();
    for (int i = 0; i < line.x.length; i++) {
      if (Double.isFinite(line.y[i])) {
        points.append(
            String.format(
                Locale.ROOT,
                "%.1f,%.1f ",
                x(horizontal, line.x[i]),
                y(vertical, line.y[i])));
      }
    }
    append(
        svg,
        "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"%s\"/>",
        colour,
        points.toString().strip());
    int y = TOP + 12 + 18 * index;
    append(
        svg,
        "<path d=\"M%d %d h18\" stroke=\"%s\" stroke-width=\"2\"/>",
        WIDTH - RIGHT + 10,
        y - 4,
        colour);
    append(
        svg, "<text x=\"%d\" y=\"%d\">%s</text>", WIDTH - RIGHT + 34, y, escaped(line.name));
  }

  private static void grid(StringBuilder svg, double x1, double y1, double x2, double y2) {
    append(
        svg,
        "<path d=\"M%.1f %.1f L%.1f %.1f\" stroke=\"#ddd\"/>",
        x1,
        y1,
        x2,
        y2);
  }

  private static double x(Range range, double value) {
    return LEFT + range.share(value) * (WIDTH - RIGHT - LEFT);
  }

  private static double y(Range range, double value) {
    return HEIGHT - BOTTOM - range.share(value) * (HEIGHT - BOTTOM - TOP);
  }

  private static String label(double value) {
    double rounded = Math.rint(value * 1e6) / 1e6;
    return rounded == Math.rint(rounded)
        ? String.format(Locale.ROOT, "%.0f", rounded)
        : Double.toString(rounded);
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;");
  }

  private static void append(StringBuilder svg, String format, Object... arguments) {
    svg.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }

  /** What an axis covers. */
  private static final class Range {
    private final boolean logarithmic;
    private double low = Double.POSITIVE_INFINITY;
    private double high = Double.NEGATIVE_INFINITY;

    Range(boolean logarithmic) {
      this.logarithmic = logarithmic;
    }

    void include(double value) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }

    double share(double value) {
      if (high <= low) {
        return 0.5;
      }
      return logarithmic
          ? Math.log(value / low) / Math.log(high / low)
          : (value - low) / (high - low);
    }

    /** Round numbers within: 1, 2 and 5 times powers of ten, at most about ten of them. */
    List<Double> ticks() {
      List<Double> ticks = new ArrayList<>();
      if (!(high > low)) {
        return ticks;
      }
      if (logarithmic) {
        for (double power = Math.pow(10, Math.floor(Math.log10(low)));
            power <= high;
            power *= 10) {
          for (int factor : new int[] {1, 2, 5}) {
            if (factor * power >= low && factor * power <= high) {
              ticks.add(factor * power);
            }
          }
        }
        return ticks;
      }
      double rough = (high - low) / 8;
      double power = Math.pow(10, Math.floor(Math.log10(rough)));
      double step = rough <= 2 * power ? 2 * power : rough <= 5 * power ? 5 * power : 10 * power;
      for (double tick = Math.ceil(low / step) * step; tick <= high; tick += step) {
        ticks.add(tick);
      }
      return ticks;
    }
  }
}
