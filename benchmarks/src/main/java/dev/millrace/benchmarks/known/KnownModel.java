package dev.millrace.benchmarks.known;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Lock;
import java.util.function.Supplier;

/**
 * INPUT0 FP32[-1,16] -> OUTPUT0, a copy, after the time that the {@link LatencyCurve} says. A row
 * that begins with {@link #POISON} makes the batch fail, as soon as it is its device.
 *
 * <p>Counts what it does, warm-up included. Thread-safe.
 */
public final class KnownModel implements TensorModel {
  /** First number of a row that cannot be computed. */
  public static final float POISON = -666;

  static final int WIDTH = 16;
  private static final Shape ANY_ROWS = Shape.of(Shape.ANY, WIDTH);

  private final ModelId id;
  private final LatencyCurve curve;
  private final Work work;
  private final Supplier<Lock> devices;
  private final AtomicLong runs = new AtomicLong();
  private final AtomicLong rows = new AtomicLong();
  private final AtomicLong deviceNanos = new AtomicLong();
  private volatile double slowdown = 1;
  private volatile CountDownLatch held = new CountDownLatch(0);

  /**
   * @param devices gives each predictor what it holds while it runs: always the same for a device
   *     that runs one batch at a time
   */
  KnownModel(ModelId id, LatencyCurve curve, Work work, Supplier<Lock> devices) {
    this.id = id;
    this.curve = curve;
    this.work = work;
    this.devices = devices;
  }

  /** A row, of which the first number is {@code first}; the caller's. */
  public static TensorMap row(float first) {
    float[] numbers = new float[WIDTH];
    numbers[0] = first;
    return TensorMap.of("INPUT0", Tensor.copyOf(Shape.of(1, WIDTH), numbers));
  }

  /** From the next batch on every batch takes so many times as long as the curve says. */
  public void slowDown(double factor) {
    slowdown = factor;
  }

  /** From the next batch on no batch ends before {@link #release}. */
  public void hold() {
    held = new CountDownLatch(1);
  }

  /** Lets batches end. */
  public void release() {
    held.countDown();
  }

  /** Batches run, failed ones too. */
  public long runs() {
    return runs.get();
  }

  /** Rows of these. */
  public long rows() {
    return rows.get();
  }

  /** Time that the device spent on these. */
  public long deviceNanos() {
    return deviceNanos.get();
  }

  @Override
  public ModelMetadata metadata() {
    return new ModelMetadata(
        id,
        "known",
        List.of(new TensorSpec("INPUT0", DataType.FP32, ANY_ROWS)),
        List.of(new TensorSpec("OUTPUT0", DataType.FP32, ANY_ROWS)),
        64,
        Map.of());
  }

  @Override
  public Predictor newPredictor() {
    return new KnownPredictor();
  }

  @Override
  public void close() {}

  private final class KnownPredictor implements Predictor {
    private final Lock device = devices.get();

    @Override
    public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
      Tensor input = inputs.tensor(0);
      int count = Math.toIntExact(input.shape().dim(0));
      device.lock();
      try {
        long start = System.nanoTime();
        work.until(start + (long) (curve.nanos(count) * slowdown));
        await(held);
        deviceNanos.addAndGet(System.nanoTime() - start);
        runs.incrementAndGet();
        rows.addAndGet(count);
      } finally {
        device.unlock();
      }
      for (int row = 0; row < count; row++) {
        if (input.data().getFloat(row * WIDTH * Float.BYTES) == POISON) {
          throw InferenceException.invalidArgument("row %d is poison".formatted(row));
        }
      }
      return TensorMap.of("OUTPUT0", Tensor.copyOf(input.dataType(), input.shape(), input.data()));
    }

    private static void await(CountDownLatch latch) {
      try {
        latch.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while held", e);
      }
    }

    @Override
    public void close() {}
  }
}
