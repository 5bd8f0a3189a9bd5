package dev.millrace.benchmarks.load;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.sun.management.OperatingSystemMXBean;
import dev.millrace.api.DataType;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.LoadModel;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The engine alone: as many threads as asked for run one session of a model in this process, in
 * batches of one size whose inputs lie ready outside the heap.
 */
public final class EngineLoad {
  /** How the engine is called. */
  private record Setting(int callers, int threadsOfOneRun, int batch) {
    @Override
    public String toString() {
      return "%d %d %d".formatted(callers, threadsOfOneRun, batch);
    }
  }

  private record Rate(long rows, long micros, long cpuMicros) {
    double rowsPerSecond() {
      return rows * 1e6 / micros;
    }
  }

  private EngineLoad() {}

  /**
   * With {@code best}, tries every sensible setting and prints the one with the most rows per
   * second: callers, threads of one run, batch. With a setting, prints rows, microseconds, and
   * microseconds of CPU.
   *
   * @param args {@code MODEL best SECONDS} or {@code MODEL CALLERS THREADS BATCH SECONDS}
   */
  public static void main(String[] args)
      throws IOException, OrtException, InterruptedException, ExecutionException {
    LoadModel model = LoadModel.valueOf(args[0].toUpperCase(Locale.ROOT));
    double seconds = Double.parseDouble(args[args.length - 1]);
    if (args[1].equals("best")) {
      best(model, seconds);
    } else {
      Setting setting =
          new Setting(
              Integer.parseInt(args[1]), Integer.parseInt(args[2]), Integer.parseInt(args[3]));
      Rate rate = measure(model, setting, seconds);
      System.out.printf("RESULT %d %d %d%n", rate.rows(), rate.micros(), rate.cpuMicros());
    }
  }

  private static void best(LoadModel model, double seconds)
      throws IOException, OrtException, InterruptedException, ExecutionException {
    int cpus = Runtime.getRuntime().availableProcessors();
    Setting best = new Setting(cpus, 1, 1);
    double most = 0;
    for (int callers = 1; callers <= cpus; callers *= 2) {
      for (int batch = 1; batch <= 64; batch *= 2) {
        Setting setting = new Setting(callers, cpus / callers, batch);
        double rows = measure(model, setting, seconds).rowsPerSecond();
        System.out.printf("# %s: %.0f rows/s%n", setting, rows);
        if (rows > most) {
          most = rows;
          best = setting;
        }
      }
    }
    System.out.printf("BEST %s%n", best);
  }

  private static Rate measure(LoadModel model, Setting setting, double seconds)
      throws IOException, OrtException, InterruptedException, ExecutionException {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(setting.threadsOfOneRun());
      options.setInterOpNumThreads(1);
      try (OrtSession session =
              OrtEnvironment.getEnvironment().createSession(model.file(), options);
          ExecutorService callers = Executors.newFixedThreadPool(setting.callers())) {
        run(callers, session, model, setting, seconds / 4);
        return run(callers, session, model, setting, seconds);
      }
    }
  }

  private static Rate run(
      ExecutorService callers, OrtSession session, LoadModel model, Setting setting, double seconds)
      throws InterruptedException, ExecutionException {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long cpu = system.getProcessCpuTime();
    long start = System.nanoTime();
    long end = start + (long) (seconds * 1e9);
    List<Future<Long>> batches = new ArrayList<>();
    for (int i = 0; i < setting.callers(); i++) {
      batches.add(callers.submit(() -> call(session, model, setting.batch(), end)));
    }
    long rows = 0;
    for (Future<Long> count : batches) {
      rows += count.get() * setting.batch();
    }
    return new Rate(
        rows, (System.nanoTime() - start) / 1000, (system.getProcessCpuTime() - cpu) / 1000);
  }

  /** Runs batches until {@code end} and returns how many. */
  private static long call(OrtSession session, LoadModel model, int batch, long end)
      throws OrtException {
    Map<String, OnnxTensor> inputs = inputs(model, batch);
    try {
      long batches = 0;
      while (System.nanoTime() - end < 0) {
        session.run(inputs).close();
        batches++;
      }
      return batches;
    } finally {
      inputs.values().forEach(OnnxTensor::close);
    }
  }

  private static Map<String, OnnxTensor> inputs(LoadModel model, int batch) throws OrtException {
    Map<String, OnnxTensor> inputs = new HashMap<>();
    try (TensorMap row = model.row()) {
      for (int i = 0; i < row.size(); i++) {
        inputs.put(row.name(i), repeat(row.tensor(i), batch));
      }
    }
    return inputs;
  }

  private static OnnxTensor repeat(Tensor row, int batch) throws OrtException {
    ByteBuffer bytes =
        ByteBuffer.allocateDirect(row.byteSize() * batch).order(ByteOrder.nativeOrder());
    for (int i = 0; i < batch; i++) {
      bytes.put(row.data());
    }
    bytes.flip();
    long[] shape = row.shape().withDim(0, batch).dims();
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    if (row.dataType() == DataType.INT64) {
      return OnnxTensor.createTensor(environment, bytes.asLongBuffer(), shape);
    }
    if (row.dataType() == DataType.INT32) {
      return OnnxTensor.createTensor(environment, bytes.asIntBuffer(), shape);
    }
    return OnnxTensor.createTensor(environment, bytes.asFloatBuffer(), shape);
  }
}
