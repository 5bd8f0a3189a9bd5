package dev.millrace.logger;

import dev.millrace.api.Settings;
import java.nio.file.Path;
import java.util.Map;

/**
 * Local files of lines: {@code file}, which gives way to a new one when it has {@code file-size},
 * with the {@code files} newest of them kept.
 */
public final class FileSinkProvider implements SinkProvider {
  /** Made by the service loader. */
  public FileSinkProvider() {}

  @Override
  public String name() {
    return "file";
  }

  @Override
  public Sink open(Settings settings, Map<String, String> environment, boolean promised) {
    return new FileSink(
        Path.of(settings.string("file").orElse("inference.log")),
        settings.size("file-size").orElse(100L << 20),
        settings.integer("files", 1, 10_000).orElse(10));
  }
}
