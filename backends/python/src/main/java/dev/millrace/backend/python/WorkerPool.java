package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps a number of workers alive, and gives each call to one that is free: the one that was free
 * last, whose caches are warm.
 *
 * <p>A worker that ends is started again: at once if it ever answered a call, else after a time
 * that doubles from {@value #FIRST_DELAY_MILLIS} ms to {@value #LONGEST_DELAY_MILLIS} ms. Calls
 * wait for a free worker while there is one, or one is being started; they fail at once while none
 * can be. Thread-safe.
 */
final class WorkerPool implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(WorkerPool.class);

  private static final long FIRST_DELAY_MILLIS = 100;
  private static final long LONGEST_DELAY_MILLIS = 30_000;

  private final WorkerSpec spec;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Deque<Connection> idle = new ArrayDeque<>();
  private final List<Worker> workers = new ArrayList<>();
  private final List<Thread> keepers = new ArrayList<>();

  /** Workers of which the last start failed. */
  private int failing;

  private String lastFailure = "";
  private boolean closed;
  private final WorkerWatch watch;

  private WorkerPool(WorkerSpec spec) {
    this.spec = spec;
    this.watch = new WorkerWatch(this, spec);
  }

  /**
   * Starts all workers, side by side, and waits until they are ready.
   *
   * @throws InferenceException FAILED_PRECONDITION with the reason if one cannot be started; none
   *     is left then
   */
  static WorkerPool start(WorkerSpec spec) {
    WorkerPool pool = new WorkerPool(spec);
    List<Worker> started = startAll(spec);
    for (Worker worker : started) {
      pool.add(worker);
      pool.keepers.add(
          Thread.ofPlatform()
              .name("python-keeper-" + spec.name())
              .daemon()
              .unstarted(() -> pool.keep(worker)));
    }
    pool.keepers.forEach(Thread::start);
    pool.watch.start();
    return pool;
  }

  private static List<Worker> startAll(WorkerSpec spec) {
    List<Worker> started = new ArrayList<>();
    List<RuntimeException> failures = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < spec.workers(); i++) {
      threads.add(
          Thread.ofPlatform()
              .name("python-keeper-" + spec.name())
              .start(() -> {
                try {
                  Worker worker = Worker.start(spec);
                  synchronized (started) {
                    started.add(worker);
                  }
                } catch (RuntimeException e) {
                  synchronized (started) {
                    failures.add(e);
                  }
                }
              }));
    }
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    synchronized (started) {
      if (failures.isEmpty()) {
        return List.copyOf(started);
      }
      started.forEach(Worker::close);
      throw failures.getFirst();
    }
  }

  /** What the workers say of themselves. */
  Map<String, String> facts() {
    lock.lock();
    try {
      return workers.isEmpty() ? Map.of() : workers.getFirst().facts();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Calls the script in one of the workers; blocks.
   *
   * @param tensors stay the caller's
   * @return what it gave, which the caller closes
   * @throws InferenceException what the script raised; UNAVAILABLE if its process ended or none can
   *     be started, DEADLINE_EXCEEDED if it took too long
   */
  TensorMap call(Verb verb, TensorMap tensors, Parameters parameters) {
    Connection connection = acquire();
    boolean usable = false;
    try {
      TensorMap result = connection.call(verb, tensors, parameters);
      usable = true;
      connection.worker().served();
      return result;
    } catch (ScriptError e) {
      usable = true;
      connection.worker().served();
      throw failed(e);
    } catch (IOException e) {
      LOG.debug("{}: a call failed", spec.name(), e);
      throw lost(connection, e);
    } finally {
      release(connection, usable);
    }
  }

  /** The failure of a call that the script failed, which the log is told of. */
  InferenceException failed(ScriptError error) {
    if (error.status() < 500) {
      LOG.debug("{}: {}", spec.name(), error.getMessage());
    } else {
      ScriptOutput.tell(spec.name(), String.valueOf(error.getMessage()), error.trace());
    }
    return error.toInferenceException();
  }

  /** The failure of a call whose connection failed; ends the worker. */
  InferenceException lost(Connection connection, IOException failure) {
    Worker worker = connection.worker();
    if (connection.isOverdue()) {
      return new InferenceException(
          ErrorCode.DEADLINE_EXCEEDED,
          "the script ran for more than %s and was stopped".formatted(text(spec.callTimeout())));
    }
    if (failure instanceof java.net.ProtocolException) {
      worker.kill();
      return new InferenceException(
          ErrorCode.INTERNAL, "the Python process gave an answer that is none", failure);
    }
    if (worker.connections().stream().anyMatch(Connection::isOverdue)) {
      return InferenceException.unavailable(
          "the Python process that ran this call was stopped, because another call took too long");
    }
    String exit = worker.describeExit();
    worker.kill();
    return InferenceException.unavailable(
        exit.isEmpty()
            ? "the Python process that ran this call closed its connection"
            : "the Python process that ran this call ended%s".formatted(exit));
  }

  static String text(Duration time) {
    return time.toMillis() % 1000 == 0 ? time.toSeconds() + " s" : time.toMillis() + " ms";
  }

  /** A connection for a call, to be given back by {@link #release}; waits until one is free. */
  Connection acquire() {
    long left = spec.callTimeout().toNanos();
    lock.lock();
    try {
      while (true) {
        Connection connection = idle.pollFirst();
        if (connection != null) {
          return connection;
        }
        if (closed) {
          throw InferenceException.unavailable("the model is being unloaded");
        }
        if (workers.isEmpty() && failing == spec.workers()) {
          throw InferenceException.unavailable("no Python process can be started: " + lastFailure);
        }
        if (left <= 0) {
          throw InferenceException.unavailable(
              "no Python process was free for %s".formatted(text(spec.callTimeout())));
        }
        left = changed.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InferenceException(
          ErrorCode.CANCELLED, "interrupted while waiting for a Python process", e);
    } finally {
      lock.unlock();
    }
  }

  /** Takes a connection back; one that is not usable is closed. */
  void release(Connection connection, boolean usable) {
    lock.lock();
    try {
      if (usable && !closed && workers.contains(connection.worker())) {
        idle.addFirst(connection);
        changed.signal();
        return;
      }
    } finally {
      lock.unlock();
    }
    connection.close();
    connection.unmap();
  }

  private boolean add(Worker worker) {
    lock.lock();
    try {
      if (closed) {
        return false;
      }
      workers.add(worker);
      worker.connections().forEach(idle::addLast);
      changed.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void remove(Worker worker) {
    List<Connection> unused = new ArrayList<>();
    lock.lock();
    try {
      workers.remove(worker);
      idle.removeIf(connection -> connection.worker() == worker && unused.add(connection));
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    unused.forEach(Connection::unmap);
  }

  boolean isClosed() {
    lock.lock();
    try {
      return closed;
    } finally {
      lock.unlock();
    }
  }

  /** Starts a worker again whenever it ends. */
  private void keep(Worker first) {
    try {
      @Nullable Worker worker = first;
      long delay = 0;
      while (worker != null) {
        worker.awaitExit();
        remove(worker);
        worker.close();
        if (isClosed()) {
          return;
        }
        delay = worker.hasServed() ? 0 : longer(delay);
        LOG.warn(
            "{}: its process {} ended{}; another one is started",
            spec.name(),
            worker.pid(),
            worker.describeExit());
        worker = restart(delay);
      }
    } catch (InterruptedException e) {
      LOG.debug("{}: its processes are not started again any more", spec.name());
    }
  }

  private static long longer(long delay) {
    return delay == 0 ? FIRST_DELAY_MILLIS : Math.min(2 * delay, LONGEST_DELAY_MILLIS);
  }

  /** A new worker, however many attempts it takes; null if the pool was closed meanwhile. */
  private @Nullable Worker restart(long firstDelay) throws InterruptedException {
    long delay = firstDelay;
    boolean counted = false;
    while (true) {
      Thread.sleep(delay);
      try {
        Worker worker = Worker.start(spec);
        if (counted) {
          noteFailing(-1, "");
        }
        if (!add(worker)) {
          worker.close();
          return null;
        }
        return worker;
      } catch (InferenceException e) {
        if (isClosed()) {
          return null;
        }
        if (!counted) {
          noteFailing(1, e.getMessage());
          counted = true;
        }
        delay = longer(delay);
        LOG.error(
            "{}: its process cannot be started; tried again in {} ms: {}",
            spec.name(),
            delay,
            e.getMessage());
      }
    }
  }

  private void noteFailing(int change, String reason) {
    lock.lock();
    try {
      failing += change;
      lastFailure = reason.isEmpty() ? lastFailure : reason;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** The workers that are alive. */
  List<Worker> current() {
    lock.lock();
    try {
      return List.copyOf(workers);
    } finally {
      lock.unlock();
    }
  }

  /**
   * A free connection of that worker, to be given back by {@link #release}; null if it has none.
   */
  @Nullable Connection take(Worker worker) {
    lock.lock();
    try {
      for (Connection connection : idle) {
        if (connection.worker() == worker) {
          idle.remove(connection);
          return connection;
        }
      }
      return null;
    } finally {
      lock.unlock();
    }
  }

  /** Ends all workers, and waits until they are gone; calls that are under way fail. */
  @Override
  public void close() {
    List<Worker> ended;
    List<Connection> unused;
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      ended = List.copyOf(workers);
      unused = List.copyOf(idle);
      idle.clear();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    watch.stop();
    keepers.forEach(Thread::interrupt);
    List<Thread> closing =
        ended.stream().map(worker -> Thread.ofVirtual().start(worker::close)).toList();
    for (Thread thread : closing) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
    unused.forEach(Connection::unmap);
  }
}
