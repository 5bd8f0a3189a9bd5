package dev.millrace.benchmarks.simulation;

import java.util.ArrayList;
import java.util.List;

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
  private static final class Series {
    private final String name;
    private final double[] x;
    private final double[] y;

    Series(String name, double[] x, double[] y) {
      this.name = name;
      this.x = x.clone();
      this.y = y.clone();
    }

    String points(Range horizontal, Range vertical) {
      StringBuilder points = new StringBuilder();
      for (int i = 0; i < x.length; i++) {
        if (Double.isFinite(y[i])) {
          points
              .append(points.isEmpty() ? "" : " ")
              .append(point(LinePlot.x(horizontal, x[i]), LinePlot.y(vertical, y[i])));
        }
      }
      return points.toString();
    }
  }

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
    lines.add(new Series(name, x, y));
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
    svg.append(
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" font-family="sans-serif" \
        font-size="12">
        <rect width="100%%" height="100%%" fill="white"/>
        """
            .formatted(WIDTH, HEIGHT));
    text(svg, LEFT, 24, "start", title);
    text(svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12, "middle", abscissa);
    svg.append("<g transform=\"translate(16 %s) rotate(-90)\">\n".formatted(HEIGHT / 2));
    text(svg, 0, 0, "middle", ordinate);
    svg.append("</g>\n");
    for (double tick : horizontal.ticks()) {
      double x = x(horizontal, tick);
      path(svg, "#ddd", 1, point(x, TOP) + " " + point(x, HEIGHT - BOTTOM));
      text(svg, x, HEIGHT - BOTTOM + 18, "middle", label(tick));
    }
    for (double tick : vertical.ticks()) {
      double y = y(vertical, tick);
      path(svg, "#ddd", 1, point(LEFT, y) + " " + point(WIDTH - RIGHT, y));
      text(svg, LEFT - 6, y + 4, "end", label(tick));
    }
    for (int i = 0; i < lines.size(); i++) {
      Series line = lines.get(i);
      String colour = COLOURS[i % COLOURS.length];
      path(svg, colour, 2, line.points(horizontal, vertical));
      int y = TOP + 12 + 18 * i;
      int x = WIDTH - RIGHT + 10;
      path(svg, colour, 2, point(x, y - 4) + " " + point(x + 18, y - 4));
      text(svg, x + 24, y, "start", line.name);
    }
    return svg.append("</svg>\n").toString();
  }

  private static void path(StringBuilder svg, String colour, int width, String points) {
    svg.append(
        "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" points=\"%s\"/>\n"
            .formatted(colour, width, points));
  }

  private static void text(StringBuilder svg, double x, double y, String anchor, String text) {
    String escaped = text.replace("&", "&amp;").replace("<", "&lt;");
    svg.append(
        "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n"
            .formatted(tenths(x), tenths(y), anchor, escaped));
  }

  private static String point(double x, double y) {
    return tenths(x) + "," + tenths(y);
  }

  private static String tenths(double value) {
    return Double.toString(Math.rint(value * 10) / 10);
  }

  private static double x(Range range, double value) {
    return LEFT + range.share(value) * (WIDTH - RIGHT - LEFT);
  }

  private static double y(Range range, double value) {
    return HEIGHT - BOTTOM - range.share(value) * (HEIGHT - BOTTOM - TOP);
  }

  private static String label(double value) {
    double rounded = Math.rint(value * 1e6) / 1e6;
    return rounded == Math.rint(rounded) ? Long.toString((long) rounded) : Double.toString(rounded);
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
        for (double power = Math.pow(10, Math.floor(Math.log10(low))); power <= high; power *= 10) {
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
