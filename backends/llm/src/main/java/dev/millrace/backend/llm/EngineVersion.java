package dev.millrace.backend.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which vLLM is started, as far as it matters: options changed with 0.9.
 *
 * @param text for people
 * @param isEarly whether it is older than that
 */
record EngineVersion(String text, boolean isEarly) {
  private static final Logger LOG = LoggerFactory.getLogger(EngineVersion.class);
  private static final Pattern NUMBERS = Pattern.compile("(\\d+)\\.(\\d+)(\\.\\d+)?\\S*");
  private static final long PATIENCE_SECONDS = 120;

  /** What holds if the version cannot be found out. */
  static final EngineVersion NEWEST = new EngineVersion("newest", false);

  /** The version that a text names, as in {@code 0.7.1}; the newest if it names none. */
  static EngineVersion of(String text) {
    EngineVersion found = NEWEST;
    for (String line : text.lines().toList()) {
      Matcher matcher = NUMBERS.matcher(line);
      if (matcher.find()) {
        boolean early =
            Integer.parseInt(matcher.group(1)) == 0 && Integer.parseInt(matcher.group(2)) < 9;
        found = new EngineVersion(matcher.group(), early);
      }
    }
    return found;
  }

  /**
   * Asks the engine, by the words of its command before {@code serve} and {@code --version}; the
   * newest if it does not say. Blocks; importing vLLM takes a while.
   */
  static EngineVersion ask(List<String> command, Map<String, String> environment) {
    int serve = command.indexOf("serve");
    if (serve < 1) {
      return NEWEST;
    }
    List<String> question = new ArrayList<>(command.subList(0, serve));
    question.add("--version");
    ProcessBuilder builder =
        new ProcessBuilder(question)
            .redirectInput(Redirect.from(new java.io.File("/dev/null")))
            .redirectError(Redirect.DISCARD);
    builder.environment().putAll(environment);
    try {
      Process process = builder.start();
      Thread limit =
          Thread.ofVirtual()
              .start(() -> {
                try {
                  if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                  }
                } catch (InterruptedException e) {
                  LOG.trace("the version is known");
                }
              });
      String answer = new String(process.getInputStream().readAllBytes(), UTF_8);
      limit.interrupt();
      EngineVersion version = of(answer);
      LOG.info("{} says it is version {}", question.getFirst(), version.text());
      return version;
    } catch (IOException e) {
      LOG.debug("{} cannot be asked for its version", question, e);
      return NEWEST;
    }
  }
}
