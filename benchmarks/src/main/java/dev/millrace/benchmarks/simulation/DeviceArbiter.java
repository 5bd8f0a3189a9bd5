package dev.millrace.benchmarks.simulation;

/** Decides which model gets a free slot of a device that several share. */
interface DeviceArbiter {
  /** One of the models that want the slot; at least one does. */
  int next(boolean[] wants);

  /** A batch of the model has taken a slot. */
  default void started(int model, long nowNanos) {}

  /** It has given the slot back, after that long. */
  default void ended(int model, long busyNanos) {}

  /** In turn, without looking at how long they take. */
  static DeviceArbiter roundRobin() {
    return new DeviceArbiter() {
      private int last = -1;

      @Override
      public int next(boolean[] wants) {
        do {
          last = (last + 1) % wants.length;
        } while (!wants[last]);
        return last;
      }
    };
  }
}
