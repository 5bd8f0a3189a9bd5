package dev.millrace.benchmarks.load;

import dev.millrace.benchmarks.BackendModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Prints the measurements of an engines run as Markdown: medians over its rounds. */
public final class EnginesReport {
  private EnginesReport() {}

  /**
   * Prints the report.
   *
   * @param args the directory that {@code benchmarks/engines} wrote
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, the directory of the run");
    }
    Path directory = Path.of(args[0]);
    Report report =
        new Report(Report.read(Files.readAllLines(directory.resolve("legs.tsv"))), System.out);
    report.environment("Engines run", directory);
    report.targetsHead();
    for (BackendModel model : BackendModel.values()) {
      String name = model.servedName();
      boolean isSmall = name.endsWith("-digits");
      report.target(
          "Millrace/engine, " + name, isSmall ? "" : "0.9", "millrace-" + name, "engine-" + name);
      report.target(
          "Millrace/sum, " + name, "", "millrace-" + name, "engine-" + name, "bare-" + name);
    }
    System.out.println();
    report.legs();
  }
}
