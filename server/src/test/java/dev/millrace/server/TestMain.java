package dev.millrace.server;

import dev.millrace.runtime.Plugins;
import java.util.List;

/** The command line with {@link SumBackend}; says at the end how many rows it has computed. */
final class TestMain {
  private TestMain() {}

  public static void main(String[] args) {
    int code =
        new CommandLineInterface(
                System.getenv(),
                System.out,
                System.err,
                () -> Plugins.of(List.of(new SumBackend())),
                StopSignal::install)
            .run(List.of(args));
    System.out.println("rows=" + SumBackend.ROWS.get());
    System.exit(code);
  }
}
