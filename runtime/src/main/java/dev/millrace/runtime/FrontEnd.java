package dev.millrace.runtime;

/**
 * What the runtime has to know of the threads that bring requests and take answers away.
 * Thread-safe; each method speaks of the thread that calls it.
 */
public interface FrontEnd {
  /** A caller with one request at hand, that gets the answer as soon as there is one. */
  FrontEnd NONE =
      new FrontEnd() {
        @Override
        public void afterReading(Runnable task) {
          task.run();
        }

        @Override
        public long wayNanos() {
          return 0;
        }
      };

  /**
   * Runs a task on this thread, soon: when it has brought the other requests that it has at hand.
   */
  void afterReading(Runnable task);

  /**
   * How long a request that this thread brings is on its way, lately: before it gets here, and from
   * the time that its answer is there until that is sent. In nanoseconds; 0 if that is not known.
   */
  long wayNanos();
}
