package dev.millrace.logger;

/** What is promised of a record that was accepted. */
enum Delivery {
  /** It is kept in memory, and lost if the sink does not take it in time. */
  BEST_EFFORT,
  /** It is on the disk before it is sent, and stays there until the sink has it. */
  AT_LEAST_ONCE
}
