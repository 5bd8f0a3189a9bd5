package dev.millrace.benchmarks.known;

import java.util.concurrent.locks.LockSupport;

/** What an engine does while a batch takes its time. */
public enum Work {
  /** Nothing, as while a GPU works: the CPUs are free for server and clients. */
  SLEEP {
    @Override
    void until(long nanoTime) {
      for (long left = nanoTime - System.nanoTime();
          left > 0;
          left = nanoTime - System.nanoTime()) {
        LockSupport.parkNanos(left);
      }
    }
  },

  /** Keeps a CPU busy, as an engine on the CPU. */
  SPIN {
    @Override
    void until(long nanoTime) {
      while (nanoTime - System.nanoTime() > 0) {
        Thread.onSpinWait();
      }
    }
  };

  abstract void until(long nanoTime);
}
