package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.LogListener.DropReason;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Where messages go. All methods are called by one thread at a time, one of the logger's own, and
 * may block; the answers to {@link #send} come on any thread.
 */
public interface Sink extends AutoCloseable {
  /**
   * Makes sure that messages can go to {@code topic}, or says what is wrong. Called before the
   * first message, by the thread that loads the model.
   *
   * @throws InferenceException FAILED_PRECONDITION if what is wrong does not pass by itself
   */
  default void prepare(String topic) {}

  /**
   * Sends a message. Those sent one after the other arrive in that order as far as the sink knows
   * one.
   *
   * @param answer is told once how it went, also while this method runs, unless it throws
   * @throws SinkException if the message was not sent
   */
  void send(LogMessage message, Answer answer) throws SinkException;

  /** Pushes out what was sent; called when nothing more is to be sent for now. */
  default void flush() throws SinkException {}

  /** Called after failures, when no answer is outstanding and before the next message is sent. */
  default void recover() {}

  /** How many messages may be without an answer at once. */
  default int maxInFlight() {
    return Integer.MAX_VALUE;
  }

  /** How often a message is sent, at most, if nothing is promised of it. */
  default int attempts() {
    return 1;
  }

  /** Waits for answers, at most that long, and ends. Called once. */
  void close(Duration grace);

  @Override
  default void close() {
    close(Duration.ZERO);
  }

  /** Hears how it went. */
  interface Answer {
    /**
     * The message arrived, or did not.
     *
     * @param failure null if it did
     */
    void settled(@Nullable SinkException failure);
  }

  /** A message was not taken. */
  final class SinkException extends Exception {
    private static final long serialVersionUID = 1;

    private final @Nullable DropReason hopeless;

    private SinkException(
        String message, @Nullable Throwable cause, @Nullable DropReason hopeless) {
      super(message, cause, false, false);
      this.hopeless = hopeless;
    }

    /** It may be taken later. */
    public static SinkException passing(String message, @Nullable Throwable cause) {
      return new SinkException(message, cause, null);
    }

    /** This message will never be taken, whatever becomes of others. */
    public static SinkException hopeless(
        String message, @Nullable Throwable cause, DropReason reason) {
      return new SinkException(message, cause, reason);
    }

    /** Why sending it again makes no sense; null if it does. */
    @Nullable DropReason hopeless() {
      return hopeless;
    }
  }
}
