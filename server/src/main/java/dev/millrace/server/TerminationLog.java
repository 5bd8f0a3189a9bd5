package dev.millrace.server;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where Kubernetes looks for the reason why a container ended; KServe shows it in the status of the
 * InferenceService.
 */
final class TerminationLog {
  private static final Logger log = LoggerFactory.getLogger(TerminationLog.class);

  private final Path file;

  TerminationLog(Path file) {
    this.file = file;
  }

  /**
   * Writes the reason, as its whole content; outside of a pod, where there is no such file, not.
   */
  void write(String reason) {
    if (!file.startsWith("/dev") || Files.exists(file)) {
      try {
        Files.writeString(file, reason + "\n");
      } catch (IOException e) {
        log.debug("{} cannot be written", file, e);
      }
    }
  }
}
