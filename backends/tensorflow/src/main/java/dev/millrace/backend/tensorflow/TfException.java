package dev.millrace.backend.tensorflow;

/** A failure that TensorFlow reports: its error code and its words. */
final class TfException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int code;
  private final String words;

  TfException(int code, String words) {
    super(words, null, false, false);
    this.code = code;
    this.words = words;
  }

  /** The value in the enum TF_Code. */
  int code() {
    return code;
  }

  /** What the engine says, in its own words. */
  String words() {
    return words;
  }
}
