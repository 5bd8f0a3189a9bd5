package dev.millrace.benchmarks.load;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Calls an engine in this process from several threads, and counts what it gets done. */
final class EngineTrials {
  /** How the engine is called. */
  record Setting(int callers, int threadsOfOneRun, int batch) {
    @Override
    public String toString() {
      return "%d %d %d".formatted(callers, threadsOfOneRun, batch);
    }
  }

  /** A model in the engine, loaded for one setting. */
  interface Engine extends AutoCloseable {
    /** One for each caller, used and closed by its thread. */
    Caller newCaller() throws Exception;

    @Override
    void close();
  }

  /** Inputs that lie ready, and the engine to run them. */
  interface Caller extends AutoCloseable {
    /** Runs one batch. */
    void run() throws Exception;

    @Override
    void close();
  }

  /** Loads the model. */
  @FunctionalInterface
  interface Loader {
    Engine load(Setting setting) throws Exception;
  }

  private record Rate(long rows, long micros, long cpuMicros) {
    double rowsPerSecond() {
      return rows * 1e6 / micros;
    }
  }

  /** How often every setting is tried; what counts is its best, which other load spoils least. */
  private static final int PASSES = 3;

  private EngineTrials() {}

  /**
   * With {@code best}, tries every sensible setting and prints the one with the most rows per
   * second: callers, threads of one run, batch. With a setting, prints rows, microseconds, and
   * microseconds of CPU.
   *
   * @param args {@code best SECONDS} or {@code CALLERS THREADS BATCH SECONDS}
   */
  static void run(Loader loader, List<String> args) throws Exception {
    double seconds = Double.parseDouble(args.getLast());
    if (args.getFirst().equals("best")) {
      best(loader, seconds);
    } else {
      Setting setting =
          new Setting(
              Integer.parseInt(args.get(0)),
              Integer.parseInt(args.get(1)),
              Integer.parseInt(args.get(2)));
      Rate rate = measure(loader, setting, seconds);
      System.out.printf("RESULT %d %d %d%n", rate.rows(), rate.micros(), rate.cpuMicros());
    }
  }

  private static void best(Loader loader, double seconds) throws Exception {
    Map<Setting, Double> rates = new LinkedHashMap<>();
    for (int i = 0; i < PASSES; i++) {
      for (Setting setting : settings()) {
        rates.merge(setting, measure(loader, setting, seconds).rowsPerSecond(), Math::max);
      }
    }
    rates.forEach((setting, rate) -> System.out.printf("# %s: %.0f rows/s%n", setting, rate));
    System.out.printf(
        "BEST %s%n", Collections.max(rates.entrySet(), Map.Entry.comparingByValue()).getKey());
  }

  private static List<Setting> settings() {
    int cpus = Runtime.getRuntime().availableProcessors();
    List<Setting> settings = new ArrayList<>();
    for (int callers = 1; callers <= cpus; callers *= 2) {
      for (int batch = 1; batch <= 64; batch *= 2) {
        settings.add(new Setting(callers, cpus / callers, batch));
      }
    }
    return settings;
  }

  private static Rate measure(Loader loader, Setting setting, double seconds) throws Exception {
    try (Engine engine = loader.load(setting);
        ExecutorService callers = Executors.newFixedThreadPool(setting.callers())) {
      run(callers, engine, setting, seconds / 4);
      return run(callers, engine, setting, seconds);
    }
  }

  private static Rate run(ExecutorService callers, Engine engine, Setting setting, double seconds)
      throws Exception {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long cpu = system.getProcessCpuTime();
    long start = System.nanoTime();
    long end = start + (long) (seconds * 1e9);
    List<Future<Long>> batches = new ArrayList<>();
    for (int i = 0; i < setting.callers(); i++) {
      batches.add(callers.submit(() -> call(engine, end)));
    }
    long rows = 0;
    for (Future<Long> count : batches) {
      rows += count.get() * setting.batch();
    }
    return new Rate(
        rows, (System.nanoTime() - start) / 1000, (system.getProcessCpuTime() - cpu) / 1000);
  }

  /** Runs batches until {@code end} and returns how many. */
  private static long call(Engine engine, long end) throws Exception {
    try (Caller caller = engine.newCaller()) {
      long batches = 0;
      while (System.nanoTime() - end < 0) {
        caller.run();
        batches++;
      }
      return batches;
    }
  }
}
