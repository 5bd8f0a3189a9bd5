package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LoggerProvider;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;

/** The logger that comes with the server. */
public final class MillraceLoggerProvider implements LoggerProvider {
  /** Made by the service loader. */
  public MillraceLoggerProvider() {}

  @Override
  public String name() {
    return "millrace";
  }

  @Override
  public InferenceLogger start(
      Settings settings, Map<String, String> environment, LogListener listener) {
    LoggerSettings read = LoggerSettings.read(settings, environment);
    SinkProvider sinks = sinks(read.sink(), settings);
    return QueuedLogger.start(
        read,
        promised -> {
          Sink sink = sinks.open(settings, environment, promised);
          try {
            settings.rejectUnknown();
          } catch (InferenceException e) {
            sink.close();
            throw e;
          }
          return sink;
        },
        listener);
  }

  private static SinkProvider sinks(String name, Settings settings) {
    List<String> known = new ArrayList<>();
    for (SinkProvider provider :
        ServiceLoader.load(SinkProvider.class, SinkProvider.class.getClassLoader())) {
      if (provider.name().equals(name)) {
        return provider;
      }
      known.add(provider.name());
    }
    throw settings.bad("sink", name, "one of " + String.join(", ", known));
  }
}
