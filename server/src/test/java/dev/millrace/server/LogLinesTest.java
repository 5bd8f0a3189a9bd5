package dev.millrace.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.LoggingEvent;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class LogLinesTest {
  private static String line(LogFormat format, String message, @Nullable Throwable failure) {
    LoggingEvent event =
        new LoggingEvent(
            "here",
            new LoggerContext().getLogger("dev.millrace.server.Thing"),
            Level.WARN,
            message,
            failure,
            new Object[0]);
    event.setInstant(Instant.parse("2026-01-02T03:04:05Z"));
    event.setThreadName("main");
    return new String(new LogLines(format).encode(event), UTF_8);
  }

  @Test
  void text_isOneLineWhateverIsInIt() {
    assertThat(line(LogFormat.TEXT, "a\nb\r\u001b[31mc\té", null))
        .isEqualTo("2026-01-02T03:04:05.000Z WARN  Thing: a\\nb\\r?[31mc\té\n");
  }

  @Test
  void stackTrace_followsIndented() {
    assertThat(line(LogFormat.TEXT, "a", new IllegalStateException("why")))
        .startsWith(
            """
            2026-01-02T03:04:05.000Z WARN  Thing: a
                java.lang.IllegalStateException: why
                \tat dev.millrace\
            """)
        .endsWith("\n");
  }

  @Test
  void json_isOneObjectOnOneLine() {
    assertThat(line(LogFormat.JSON, "a\n\"b\"", null))
        .isEqualTo(
            "{\"time\":\"2026-01-02T03:04:05.000Z\",\"level\":\"WARN\","
                + "\"logger\":\"dev.millrace.server.Thing\",\"thread\":\"main\","
                + "\"message\":\"a\\n\\\"b\\\"\"}\n");
    assertThat(line(LogFormat.JSON, "a", new IllegalStateException("why")))
        .contains("\"trace\":\"java.lang.IllegalStateException: why\\n")
        .hasLineCount(1);
  }
}
