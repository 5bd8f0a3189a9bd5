package dev.millrace.api.spi;

/**
 * Told of what happens to the records of an {@link InferenceLogger}, for measurements. Called by
 * many threads at once; returns at once.
 *
 * <p>A record that is accepted is acknowledged or dropped in the end; one that is dropped at once
 * was not accepted.
 */
public interface LogListener {
  /** Does nothing. */
  LogListener NONE = new LogListener() {};

  /** There will be records of that model. */
  default void opened(String model) {}

  /** A record was taken over. */
  default void accepted(String model) {}

  /** So many messages were handed to the sink; again, if they are sent again. */
  default void sent(String model, int count) {}

  /**
   * The sink has messages for good.
   *
   * @param count how many of them were found to be acknowledged together
   * @param nanos from the first of them being handed to the sink to its acknowledgement
   */
  default void acknowledged(String model, int count, long nanos) {}

  /** A record or message is lost. */
  default void dropped(String model, DropReason reason) {}

  /** Why something is lost. */
  enum DropReason {
    /** There was no room for it: the sink takes less than comes. */
    BUFFER_FULL,
    /** There was no room for it on the disk, or the disk failed. */
    SPOOL_FULL,
    /** What was read back from the disk is not what was written. */
    SPOOL_CORRUPT,
    /** It could not be made into a message. */
    UNENCODABLE,
    /** The other side of the inference, which its message needs, did not come. */
    UNPAIRED,
    /** It is larger than the sink takes. */
    TOO_LARGE,
    /** The sink refuses it, whenever it is sent. */
    REFUSED,
    /** The sink did not take it in time. */
    NOT_SENT,
    /** The process ended first. */
    CLOSED
  }
}
