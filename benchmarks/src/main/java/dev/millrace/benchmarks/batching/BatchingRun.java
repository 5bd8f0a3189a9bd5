package dev.millrace.benchmarks.batching;

import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.SweptModel;
import dev.millrace.benchmarks.load.Load;
import dev.millrace.benchmarks.load.LoadClient;
import dev.millrace.benchmarks.load.LoadRequest;
import dev.millrace.benchmarks.load.LoadResult;
import dev.millrace.benchmarks.load.LoadWindow;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;

/** Measures a server that serves a repository of {@link BatchingFiles}. */
public final class BatchingRun {
  private BatchingRun() {}

  /**
   * Appends to {@code legs.tsv}, or with {@code sharing} to {@code sharing.tsv}.
   *
   * @param args the directory of the run, the model or {@code sharing}, the server's HTTP port and
   *     process id
   */
  public static void main(String[] args) {
    if (args.length != 4) {
      throw new IllegalArgumentException("expected: directory model-or-sharing port pid");
    }
    Path directory = Path.of(args[0]);
    int port = Integer.parseInt(args[2]);
    SweepPlan plan = SweepPlan.read(System.getenv());
    try (LoadClient client = new LoadClient();
        ServerView server = new ServerView(port)) {
      if (args[1].equals("sharing")) {
        sharing(plan, client, server, port, directory.resolve("sharing.tsv"));
      } else {
        SweptModel model = SweptModel.valueOf(args[1].toUpperCase(Locale.ROOT));
        Path legs = directory.resolve("legs.tsv");
        new Sweep(model, plan, client, port, Long.parseLong(args[3]), leg -> log(legs, leg))
            .run(served(model, plan, server));
      }
    }
  }

  private static List<ServedSetting> served(SweptModel model, SweepPlan plan, ServerView server) {
    return ServedSetting.all(plan).stream()
        .filter(setting -> {
          boolean ready = server.isReady(BatchingFiles.servedName(model, setting));
          if (!ready) {
            System.err.printf("  %s is not served in setting %s%n", model, setting.name());
          }
          return ready;
        })
        .toList();
  }

  private static void log(Path legs, Leg leg) {
    System.err.printf(
        Locale.ROOT,
        "  %-12s %-10s %-12s %9.1f /s  p99 %8.2f ms%n",
        leg.model(),
        leg.kind(),
        leg.setting(),
        leg.goodput(),
        leg.micros(99) / 1e3);
    append(legs, leg.toTsv());
  }

  /**
   * Two models, both asked for more than they can have, in rounds: the share of the time inside
   * predictors that each gets. Either has more clients than its instances hold rows, so that some
   * always wait: a model whose queue runs dry leaves its time to the other, as it should.
   */
  private static void sharing(
      SweepPlan plan, LoadClient client, ServerView server, int port, Path file) {
    SweptModel slow = BatchingFiles.SHARING.getFirst();
    SweptModel fast = BatchingFiles.SHARING.getLast();
    for (int round = 0; round <= plan.rounds(); round++) {
      double slowBefore = computeSeconds(server, slow);
      double fastBefore = computeSeconds(server, fast);
      CompletableFuture<LoadResult> slowLoad = saturate(plan, client, port, slow);
      CompletableFuture<LoadResult> fastLoad = saturate(plan, client, port, fast);
      CompletableFuture.allOf(slowLoad, fastLoad).join();
      double slowSeconds = computeSeconds(server, slow) - slowBefore;
      double fastSeconds = computeSeconds(server, fast) - fastBefore;
      String line =
          String.format(
              Locale.ROOT,
              "%d\t%.4f\t%.1f\t%.1f",
              round,
              slowSeconds / (slowSeconds + fastSeconds),
              slowLoad.join().perSecond(),
              fastLoad.join().perSecond());
      System.err.println("  sharing: round, share of " + slow + ", both rates: " + line);
      if (round > 0) {
        append(file, line);
      }
    }
  }

  private static double computeSeconds(ServerView server, SweptModel model) {
    return server.metric("millrace_compute_duration_seconds_sum", model.shortName());
  }

  private static CompletableFuture<LoadResult> saturate(
      SweepPlan plan, LoadClient client, int port, SweptModel model) {
    try (TensorMap row = model.row()) {
      return client.start(
          LoadRequest.of(port, model.shortName(), row, Duration.ZERO),
          Load.ClosedLoop.of(4 * plan.connections()),
          LoadWindow.ofSeconds(0, 2 * plan.seconds()));
    }
  }

  private static void append(Path file, String line) {
    try {
      Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
