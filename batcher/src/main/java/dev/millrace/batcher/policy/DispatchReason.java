package dev.millrace.batcher.policy;

/** Why a batch was released when it was, with the rows that it had. */
public enum DispatchReason {
  /** It took everything that waited. */
  DRAIN,
  /** It reached the cap. */
  FULL,
  /** By the square-root rule a smaller batch now and the rest later is better than all at once. */
  SQRT,
  /** It left their share to the other runners. */
  SHARE,
  /** It filled one of the sizes that the model is padded to, or that are preferred. */
  BUCKET,
  /** Enough came while it was held back. */
  HOLD_TARGET,
  /** It was held back for as long as that paid. */
  HOLD_TIMEOUT,
  /** Deadlines decided its size. */
  DEADLINE,
  /** It could not be merged with others. */
  ALONE
}
