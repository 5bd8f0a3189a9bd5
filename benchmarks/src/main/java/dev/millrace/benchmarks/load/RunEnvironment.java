package dev.millrace.benchmarks.load;

import ai.onnxruntime.OrtEnvironment;
import io.netty.util.Version;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;

/** The head of a report: what was measured where, with which versions. */
public final class RunEnvironment {
  private RunEnvironment() {}

  /** Prints a title with the date, and a paragraph about this machine. */
  public static void print(String what, PrintStream out) throws IOException {
    out.printf("# %s of %s%n%n", what, LocalDate.now(ZoneOffset.UTC));
    out.printf(
        "%s, %d CPUs; %s; Java %s; ONNX Runtime %s; Netty %s.%n%n",
        cpuModel(),
        Runtime.getRuntime().availableProcessors(),
        System.getProperty("os.name") + " " + System.getProperty("os.version"),
        System.getProperty("java.version"),
        OrtEnvironment.getEnvironment().getVersion(),
        Version.identify().values().iterator().next().artifactVersion());
  }

  private static String cpuModel() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"))) {
      if (line.startsWith("model name")) {
        return line.substring(line.indexOf(':') + 1).strip();
      }
    }
    return System.getProperty("os.arch");
  }
}
