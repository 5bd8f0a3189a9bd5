package dev.millrace.logger;

/** What becomes of inferences that there is no room to log. */
enum WhenFull {
  /** They are served, and the record is dropped and counted. */
  DROP,
  /** They are refused with RESOURCE_EXHAUSTED. */
  REFUSE
}
