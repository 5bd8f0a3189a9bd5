package dev.millrace.backend.python;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks after the workers of a pool: one whose call takes too long is killed, and so is one that is
 * free and does not answer when it is asked how it is.
 */
final class WorkerWatch {
  private static final Logger LOG = LoggerFactory.getLogger(WorkerWatch.class);

  private static final Duration PING_INTERVAL = Duration.ofSeconds(10);
  private static final Duration PING_LIMIT = Duration.ofSeconds(10);

  private final WorkerPool pool;
  private final WorkerSpec spec;
  private final Thread thread;

  WorkerWatch(WorkerPool pool, WorkerSpec spec) {
    this.pool = pool;
    this.spec = spec;
    this.thread =
        Thread.ofPlatform().name("python-watch-" + spec.name()).daemon().unstarted(this::watch);
  }

  void start() {
    thread.start();
  }

  void stop() {
    thread.interrupt();
  }

  private void watch() {
    long limit = spec.callTimeout().toNanos();
    long interval = Math.clamp(limit / 8, 10_000_000L, 1_000_000_000L);
    long asked = System.nanoTime();
    try {
      while (!pool.isClosed()) {
        TimeUnit.NANOSECONDS.sleep(interval);
        long now = System.nanoTime();
        for (Worker worker : pool.current()) {
          for (Connection connection : worker.connections()) {
            if (connection.hasRunFor(limit, now)) {
              LOG.error(
                  "{}: a call took longer than {}; its process {} is killed",
                  spec.name(),
                  WorkerPool.text(spec.callTimeout()),
                  worker.pid());
              connection.overdue();
              worker.kill();
            }
          }
        }
        if (now - asked > PING_INTERVAL.toNanos()) {
          asked = now;
          for (Worker worker : pool.current()) {
            Thread.ofPlatform()
                .name("python-ping-" + spec.name())
                .daemon()
                .start(() -> ping(worker));
          }
        }
      }
    } catch (InterruptedException e) {
      LOG.debug("{}: not watched any more", spec.name());
    }
  }

  private void ping(Worker worker) {
    Connection connection = pool.take(worker);
    if (connection == null) {
      return;
    }
    boolean usable = false;
    Thread limit =
        Thread.ofVirtual()
            .start(() -> {
              try {
                Thread.sleep(PING_LIMIT);
                LOG.error(
                    "{}: process {} does not answer and is killed", spec.name(), worker.pid());
                worker.kill();
              } catch (InterruptedException e) {
                LOG.trace("{}: process {} is well", spec.name(), worker.pid());
              }
            });
    try {
      connection.ping();
      usable = true;
    } catch (IOException e) {
      LOG.debug("{}: process {} is gone", spec.name(), worker.pid(), e);
      worker.kill();
    } finally {
      limit.interrupt();
      pool.release(connection, usable);
    }
  }
}
