package dev.millrace.batcher;

/** Why a request was dropped before it ran. */
public enum ShedReason {
  /** The queue had its most requests or bytes. */
  QUEUE_FULL,
  /** The deadline passed before or while it waited. */
  DEADLINE,
  /** The client gave up while it waited. */
  CANCELLED,
  /** It would have been late, by what was learned of the model, or made others late. */
  OVERLOAD,
  /** The batcher was closing. */
  CLOSING
}
