package dev.millrace.backend.python;

/** What a script can be asked for. */
enum Verb {
  PREDICT(0),
  CLASSIFY(1),
  REGRESS(2),
  PREPROCESS(3),
  POSTPROCESS(4);

  private final int number;

  Verb(int number) {
    this.number = number;
  }

  /** The number in frames. */
  int number() {
    return number;
  }
}
