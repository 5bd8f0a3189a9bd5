package dev.millrace.runtime;

/** What a field of a {@link TextMessage} has. */
sealed interface TextValue permits TextMessage, TextValue.Scalar {
  /** Where it begins in its file. */
  int line();

  /** A number, a text without its quotes, or a word. */
  record Scalar(int line, String text) implements TextValue {}
}
