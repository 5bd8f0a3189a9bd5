package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.net.URI;
import java.time.Duration;
import java.util.Map;

/** CloudEvents by HTTP POST to {@code url}, as KServe's logger sends them. */
public final class HttpSinkProvider implements SinkProvider {
  /** Made by the service loader. */
  public HttpSinkProvider() {}

  @Override
  public String name() {
    return "http";
  }

  @Override
  public Sink open(Settings settings, Map<String, String> environment, boolean promised) {
    String text =
        settings
            .string("url")
            .orElseThrow(() ->
                InferenceException.invalidArgument(
                    "the logger's sink 'http' needs the setting logger-url"));
    URI url;
    try {
      url = URI.create(text);
    } catch (IllegalArgumentException e) {
      throw settings.bad("url", text, "the address of an HTTP server");
    }
    if (url.getScheme() == null || !url.getScheme().matches("https?") || url.getHost() == null) {
      throw settings.bad("url", text, "the address of an HTTP server, as in http://host/path");
    }
    // One after the other where order is promised; else a few, as latency is all that they cost.
    return new HttpSink(
        url, settings.duration("url-timeout").orElse(Duration.ofSeconds(10)), promised ? 1 : 16);
  }
}
