package dev.millrace.server;

import java.util.List;

/** The command line. */
public final class Main {
  private Main() {}

  /** Runs the command and ends the process with its exit code. */
  public static void main(String[] args) {
    // Signals are handled by the serve command itself, so that a stop on request can exit with 0: a
    // shutdown hook would run too, but the process would still exit with 128 plus the signal.
    System.exit(
        new CommandLineInterface(System.getenv(), System.out, System.err).run(List.of(args)));
  }
}
