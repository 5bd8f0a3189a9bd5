package dev.millrace.batcher;

import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

/**
 * Answers an FP32 input {@code x} [rows,1] with {@code y}, by default the same values; remembers
 * the values of each batch; can be stopped at the entry of {@code predict}.
 */
final class TestPredictor implements Predictor {
  /** The values of each batch that was entered, in order. */
  final List<List<Float>> batches = new CopyOnWriteArrayList<>();

  final AtomicInteger closed = new AtomicInteger();

  /** How often it was told that nobody waits for its run. */
  final AtomicInteger abandoned = new AtomicInteger();

  private final Semaphore gate = new Semaphore(0);
  private final UnaryOperator<TensorMap> model;
  private volatile boolean gated;
  private volatile boolean endsWhenAbandoned;
  private volatile boolean ending;

  TestPredictor(UnaryOperator<TensorMap> model) {
    this.model = model;
  }

  /** A predictor that returns the values that it gets. */
  static TestPredictor echo() {
    return new TestPredictor(TestPredictor::same);
  }

  /** A predictor that waits for {@link #open} or {@link #pass}. */
  static TestPredictor gated() {
    return gated(TestPredictor::same);
  }

  /** A predictor that waits likewise, and fails if nobody waits for it any more. */
  static TestPredictor gatedUntilAbandoned() {
    TestPredictor predictor = gated();
    predictor.endsWhenAbandoned = true;
    return predictor;
  }

  static TestPredictor gated(UnaryOperator<TensorMap> model) {
    TestPredictor predictor = new TestPredictor(model);
    predictor.gated = true;
    return predictor;
  }

  static TensorMap same(TensorMap inputs) {
    Tensor x = inputs.tensor(0);
    return TensorMap.of("y", Tensor.copyOf(x.dataType(), x.shape(), x.data()));
  }

  /** Lets one batch pass. */
  void pass() {
    gate.release();
  }

  /** Lets no further batch pass. */
  void shut() {
    gate.drainPermits();
    gated = true;
  }

  /** Lets all batches pass. */
  void open() {
    gated = false;
    gate.release(1_000_000);
  }

  @Override
  public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
    batches.add(inputs.isEmpty() ? List.of() : values(inputs.tensor(0)));
    if (gated) {
      gate.acquireUninterruptibly();
    }
    if (ending) {
      ending = false;
      throw new IllegalStateException("abandoned");
    }
    return model.apply(inputs);
  }

  @Override
  public void abandon() {
    abandoned.incrementAndGet();
    if (endsWhenAbandoned) {
      ending = true;
      pass();
    }
  }

  static List<Float> values(Tensor tensor) {
    List<Float> values = new java.util.ArrayList<>();
    if (tensor.dataType() == dev.millrace.api.DataType.FP32) {
      for (float value : tensor.toFloats()) {
        values.add(value);
      }
    }
    return values;
  }

  @Override
  public void close() {
    closed.incrementAndGet();
  }
}
