package dev.millrace.logger;

import dev.millrace.api.Settings;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Local files of lines: {@code file}, which gives way to a new one when it has {@code file-size},
 * with the {@code files} newest of them kept.
 */
public final class FileSinkProvider implements SinkProvider {
  /** What all sinks of this provider write to; null before there is one. */
  private @Nullable RollingFile file;

  /** Made by the service loader. */
  public FileSinkProvider() {}

  @Override
  public String name() {
    return "file";
  }

  @Override
  public Sink open(Settings settings, Map<String, String> environment, boolean promised) {
    Path path = Path.of(settings.string("file").orElse("inference.log"));
    long largest = settings.size("file-size").orElse(100L << 20);
    int files = settings.integer("files", 1, 10_000).orElse(10);
    RollingFile shared = file;
    if (shared == null) {
      shared = new RollingFile(path, largest, files);
      file = shared;
    }
    return new FileSink(shared);
  }
}
