package dev.millrace.testing.llm;

import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What a request is answered with, before anything goes wrong. */
sealed interface Answer {
  /** One body. A type of null is no header. */
  record Whole(int status, @Nullable String type, String body) implements Answer {
    static Whole json(int status, @Nullable Object value) {
      return new Whole(status, "application/json", Json.compact(value));
    }

    static Whole text(int status, String type, String text) {
      return new Whole(status, type, text);
    }

    static Whole empty(int status) {
      return new Whole(status, null, "");
    }
  }

  /**
   * A stream of events.
   *
   * @param events each with its fields' names, without the line ends behind it
   * @param done whether {@code [DONE]} follows
   */
  record Events(List<Supplier<String>> events, boolean done) implements Answer {}
}
