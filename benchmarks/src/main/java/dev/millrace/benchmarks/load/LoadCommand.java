package dev.millrace.benchmarks.load;

import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.SweptModel;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/** Puts a load on a server of this machine, and prints what came of it as one line. */
public final class LoadCommand {
  private enum Loop {
    OPEN,
    CLOSED
  }

  private enum Format {
    JSON,
    TSV
  }

  private LoadCommand() {}

  /**
   * Runs one load.
   *
   * @param args {@code key=value}: {@code port}, {@code model} (tiny, wide, convolution or minilm:
   *     what is asked), {@code name} (under which it is served; default: the model), {@code loop}
   *     (open or closed), {@code connections}, {@code think-time} of a closed loop, {@code rate},
   *     {@code arrivals} (constant, poisson, bursts) and {@code seed} of an open one, {@code
   *     timeout} of every request, {@code warm-up}, {@code time}, {@code format} (json or tsv)
   */
  public static void main(String[] args) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (String argument : args) {
      String[] parts = argument.split("=", 2);
      values.put(parts[0], parts.length == 2 ? parts[1] : "");
    }
    Settings settings = Settings.of("arguments", values);
    SweptModel model = settings.oneOf("model", SweptModel.class).orElse(SweptModel.TINY);
    String name = settings.string("name").orElse(model.shortName());
    int port = settings.integer("port", 1, 65535).orElse(8080);
    Duration timeout = settings.duration("timeout").orElse(Duration.ZERO);
    Load load = load(settings);
    LoadWindow window =
        new LoadWindow(
            settings.duration("warm-up").orElse(Duration.ofSeconds(1)),
            settings.duration("time").orElse(Duration.ofSeconds(5)));
    Format format = settings.oneOf("format", Format.class).orElse(Format.JSON);
    settings.rejectUnknown();
    LoadRequest request;
    try (TensorMap row = model.row()) {
      request = LoadRequest.of(port, name, row, timeout);
    }
    try (LoadClient client = new LoadClient()) {
      LoadResult result = client.run(request, load, window);
      System.out.println(
          switch (format) {
            case JSON -> result.toJson();
            case TSV -> LoadResult.tsvHeader() + "\n" + result.toTsv();
          });
      if (!result.failure().isEmpty()) {
        System.err.println(result.failure());
      }
      if (result.fellBehind()) {
        System.err.println("the client fell behind its schedule");
      }
    }
  }

  private static Load load(Settings settings) {
    int connections = settings.integer("connections", 1, 65535).orElse(64);
    Duration thinkTime = settings.duration("think-time").orElse(Duration.ZERO);
    double rate = settings.string("rate").map(text -> rate(settings, text)).orElse(100.0);
    Arrivals arrivals = settings.oneOf("arrivals", Arrivals.class).orElse(Arrivals.POISSON);
    int seed = settings.integer("seed", 0, Integer.MAX_VALUE).orElse(1);
    return switch (settings.oneOf("loop", Loop.class).orElse(Loop.CLOSED)) {
      case CLOSED -> new Load.ClosedLoop(connections, thinkTime);
      case OPEN -> new Load.OpenLoop(arrivals, rate, seed, connections);
    };
  }

  private static double rate(Settings settings, String text) {
    try {
      double rate = Double.parseDouble(text);
      if (rate > 0) {
        return rate;
      }
    } catch (NumberFormatException e) {
      throw settings.bad("rate", text, "a positive number, requests a second");
    }
    throw settings.bad("rate", text, "a positive number, requests a second");
  }
}
