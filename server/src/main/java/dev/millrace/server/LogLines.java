package dev.millrace.server;

import static java.nio.charset.StandardCharsets.UTF_8;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.encoder.EncoderBase;
import java.io.StringWriter;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Writes one line for each event, whatever is in its message, so that what a client sends cannot
 * look like another event. A stack trace follows a text line indented, and is inside a JSON one.
 */
final class LogLines extends EncoderBase<ILoggingEvent> {
  private static final byte[] NOTHING = new byte[0];

  private final LogFormat format;
  private final JsonFactory json = new JsonFactory();

  LogLines(LogFormat format) {
    this.format = format;
  }

  @Override
  public byte[] headerBytes() {
    return NOTHING;
  }

  @Override
  public byte[] footerBytes() {
    return NOTHING;
  }

  @Override
  public byte[] encode(ILoggingEvent event) {
    String line =
        switch (format) {
          case TEXT -> text(event);
          case JSON -> json(event);
        };
    return line.getBytes(UTF_8);
  }

  private static String text(ILoggingEvent event) {
    StringBuilder line = new StringBuilder(120);
    line.append(time(event)).append(' ').append(event.getLevel());
    line.append(" ".repeat(Math.max(1, 6 - event.getLevel().toString().length())));
    String logger = event.getLoggerName();
    line.append(logger, logger.lastIndexOf('.') + 1, logger.length()).append(": ");
    String message = String.valueOf(event.getFormattedMessage());
    for (int i = 0; i < message.length(); i++) {
      char c = message.charAt(i);
      switch (c) {
        case '\n' -> line.append("\\n");
        case '\r' -> line.append("\\r");
        default -> line.append(Character.isISOControl(c) && c != '\t' ? '?' : c);
      }
    }
    line.append('\n');
    String trace = trace(event.getThrowableProxy());
    if (trace != null) {
      trace.lines().forEach(step -> line.append("    ").append(step).append('\n'));
    }
    return line.toString();
  }

  private String json(ILoggingEvent event) {
    StringWriter line = new StringWriter(200);
    try (JsonGenerator out = json.createGenerator(ObjectWriteContext.empty(), line)) {
      out.writeStartObject();
      out.writeStringProperty("time", time(event));
      out.writeStringProperty("level", event.getLevel().toString());
      out.writeStringProperty("logger", event.getLoggerName());
      out.writeStringProperty("thread", event.getThreadName());
      out.writeStringProperty("message", String.valueOf(event.getFormattedMessage()));
      String trace = trace(event.getThrowableProxy());
      if (trace != null) {
        out.writeStringProperty("trace", trace);
      }
      out.writeEndObject();
    }
    return line.append('\n').toString();
  }

  private static String time(ILoggingEvent event) {
    String time =
        Instant.ofEpochMilli(event.getTimeStamp()).truncatedTo(ChronoUnit.MILLIS).toString();
    // Instant leaves the fraction out when it is zero.
    return time.length() == 24 ? time : time.substring(0, 19) + ".000Z";
  }

  private static @Nullable String trace(@Nullable IThrowableProxy throwable) {
    return throwable == null ? null : ThrowableProxyUtil.asString(throwable).stripTrailing();
  }
}
