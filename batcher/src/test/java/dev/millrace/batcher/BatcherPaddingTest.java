package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.DispatchReason;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.batcher.policy.QueueView;
import dev.millrace.testing.TensorLeakExtension;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Batches that are filled up: with rows to a size, with values to a length. */
@ExtendWith(TensorLeakExtension.class)
class BatcherPaddingTest {
  private static final Deadline NONE = Deadline.none();

  private final List<TensorMap> seen = new CopyOnWriteArrayList<>();

  private static Batcher start(TestPredictor predictor, BatcherConfig config, BatchPolicy policy) {
    return Batcher.start(
        "m", config, List.of(predictor), policy, BatchListener.none(), Ticker.system());
  }

  private static BatcherConfig sizes(Integer... sizes) {
    return new BatcherConfig(8, 100, 1 << 20, List.of(sizes), null);
  }

  @Test
  void batch_isFilledUpToTheNextSizeWithItsLastRow() {
    TestPredictor predictor = TestPredictor.gated();
    try (Batcher batcher = start(predictor, sizes(2, 4, 8), new GreedyPolicy())) {
      List<Reply> replies = new ArrayList<>();
      replies.add(batcher.submit(Inputs.x(7), List.of(), NONE));
      Await.until(() -> predictor.batches.size() == 1);
      replies.add(batcher.submit(Inputs.x(1, 2), List.of(), NONE));
      replies.add(batcher.submit(Inputs.x(3), List.of(), NONE));
      predictor.open();

      assertThat(Inputs.y(Await.outputs(replies.get(0)))).containsExactly(7f);
      assertThat(Inputs.y(Await.outputs(replies.get(1)))).containsExactly(1f, 2f);
      assertThat(Inputs.y(Await.outputs(replies.get(2)))).containsExactly(3f);
      assertThat(predictor.batches).containsExactly(List.of(7f, 7f), List.of(1f, 2f, 3f, 3f));
    }
  }

  @Test
  void batchOfASize_isNotCopied() {
    TensorMap inputs = Inputs.x(1, 2);
    TestPredictor predictor =
        new TestPredictor(given -> {
          assertThat(given).isSameAs(inputs);
          return TestPredictor.same(given);
        });
    try (Batcher batcher = start(predictor, sizes(2, 4), new GreedyPolicy())) {
      assertThat(Inputs.y(Await.outputs(batcher.submit(inputs, List.of(), NONE))))
          .containsExactly(1f, 2f);
    }
  }

  @Test
  void sizes_mustAscendUpToTheCap() {
    assertThatThrownBy(() -> sizes(4, 2)).hasMessageContaining("ascend");
    assertThatThrownBy(() -> sizes(1, 16)).hasMessageContaining("maxBatchSize (8)");
    assertThatThrownBy(() -> sizes(0, 1)).isInstanceOf(IllegalArgumentException.class);
  }

  /** Takes all, and pads if that is said to be worth it. */
  private record PaddingPolicy(boolean worthPadding, List<String> asked) implements BatchPolicy {
    @Override
    public Decision decide(QueueView queue, Trigger trigger, long nowNanos) {
      return new Run(0, queue.rows(), DispatchReason.DRAIN);
    }

    @Override
    public boolean worthPadding(
        int shape, int rows, int otherShape, int otherRows, long paddedRowElements) {
      asked.add(
          "%d of %d, %d of %d, %d"
              .formatted(rows, shape, otherRows, otherShape, paddedRowElements));
      return worthPadding;
    }
  }

  private static final Padding LENGTHS =
      new Padding(1, Map.of("ids", 9.0, "mask", 0.0), Map.of("each", 1));

  /** A request of one row with ids 1, 2, ..., a mask of ones, and a number. */
  private static TensorMap text(int length, float number) {
    long[] ids = new long[length];
    long[] mask = new long[length];
    for (int i = 0; i < length; i++) {
      ids[i] = i + 1L;
      mask[i] = 1;
    }
    return TensorMap.builder()
        .put("ids", Tensor.copyOf(Shape.of(1, length), ids))
        .put("mask", Tensor.copyOf(Shape.of(1, length), mask))
        .put("x", Tensor.copyOf(Shape.of(1), number))
        .build();
  }

  /** {@code each}: each id twice, FP32[rows,length,2], and {@code x} as it came. */
  private TensorMap eachTwice(TensorMap inputs) {
    seen.add(Inputs.copy(inputs));
    Tensor ids = inputs.tensor(0);
    long[] values = ids.toLongs();
    float[] twice = new float[2 * values.length];
    for (int i = 0; i < twice.length; i++) {
      twice[i] = values[i / 2];
    }
    Shape shape = Shape.of(ids.shape().dim(0), ids.shape().dim(1), 2);
    Tensor x = inputs.tensor(2);
    return TensorMap.of(
        "each", Tensor.copyOf(shape, twice), "x", Tensor.copyOf(x.dataType(), x.shape(), x.data()));
  }

  private List<Reply> submitTexts(Batcher batcher, TestPredictor predictor, int... lengths) {
    List<Reply> replies = new ArrayList<>();
    for (int length : lengths) {
      replies.add(batcher.submit(text(length, length), List.of(), NONE));
      Await.until(() -> !predictor.batches.isEmpty());
    }
    predictor.open();
    return replies;
  }

  private void assertAnswers(List<Reply> replies, int... lengths) {
    for (int i = 0; i < lengths.length; i++) {
      try (TensorMap outputs = Await.outputs(replies.get(i))) {
        Tensor each = outputs.tensor(0);
        assertThat(each.shape()).isEqualTo(Shape.of(1, lengths[i], 2));
        float[] values = each.toFloats();
        for (int v = 0; v < values.length; v++) {
          assertThat(values[v]).isEqualTo(v / 2 + 1);
        }
        assertThat(outputs.tensor(1).toFloats()).containsExactly(lengths[i]);
      }
    }
  }

  @Test
  void lengths_shareABatchWhereThatIsWorthIt() {
    TestPredictor predictor = TestPredictor.gated(this::eachTwice);
    List<String> asked = new CopyOnWriteArrayList<>();
    BatcherConfig config = new BatcherConfig(8, 100, 1 << 20, List.of(), LENGTHS);
    try (Batcher batcher = start(predictor, config, new PaddingPolicy(true, asked))) {
      int[] lengths = {1, 3, 5, 3, 4};
      assertAnswers(submitTexts(batcher, predictor, lengths), lengths);
    }
    assertThat(seen).hasSize(2);
    TensorMap batch = seen.get(1);
    assertThat(batch.tensor(0).shape()).isEqualTo(Shape.of(4, 5));
    assertThat(batch.tensor(0).toLongs())
        .containsExactly(1, 2, 3, 9, 9, 1, 2, 3, 9, 9, 1, 2, 3, 4, 9, 1, 2, 3, 4, 5);
    assertThat(batch.tensor(1).toLongs())
        .containsExactly(1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1);
    assertThat(asked)
        .as("the nearest length first")
        .containsExactly("2 of 1, 1 of 3, 9", "3 of 3, 1 of 2, 11");
    seen.forEach(TensorMap::close);
  }

  @Test
  void lengths_runApartWhereThatIsBetter() {
    TestPredictor predictor = TestPredictor.gated(this::eachTwice);
    BatcherConfig config = new BatcherConfig(8, 100, 1 << 20, List.of(), LENGTHS);
    try (Batcher batcher =
        start(predictor, config, new PaddingPolicy(false, new CopyOnWriteArrayList<>()))) {
      int[] lengths = {1, 3, 5, 3};
      assertAnswers(submitTexts(batcher, predictor, lengths), lengths);
    }
    assertThat(seen).hasSize(3);
    seen.forEach(TensorMap::close);
  }

  @Test
  void lengthsAndRows_areFilledUpTogether() {
    TestPredictor predictor = TestPredictor.gated(this::eachTwice);
    BatcherConfig config = new BatcherConfig(8, 100, 1 << 20, List.of(4), LENGTHS);
    try (Batcher batcher =
        start(predictor, config, new PaddingPolicy(true, new CopyOnWriteArrayList<>()))) {
      int[] lengths = {2, 3, 5, 3};
      assertAnswers(submitTexts(batcher, predictor, lengths), lengths);
    }
    assertThat(seen.get(1).tensor(0).shape()).isEqualTo(Shape.of(4, 5));
    seen.forEach(TensorMap::close);
  }

  @Test
  void outputThatCannotBeCut_failsItsRequests() {
    TestPredictor predictor =
        TestPredictor.gated(inputs ->
            TensorMap.of(
                "each",
                Tensor.copyOf(
                    Shape.of(inputs.tensor(0).shape().dim(0), 1),
                    new float[(int) inputs.tensor(0).shape().dim(0)])));
    BatcherConfig config = new BatcherConfig(8, 100, 1 << 20, List.of(), LENGTHS);
    try (Batcher batcher =
        start(predictor, config, new PaddingPolicy(true, new CopyOnWriteArrayList<>()))) {
      List<Reply> replies = submitTexts(batcher, predictor, 1, 3, 5);
      Await.outputs(replies.get(0)).close();
      assertThat(Await.failure(replies.get(1))).hasMessageContaining("failed");
      assertThat(Await.failure(replies.get(2))).hasMessageContaining("failed");
    }
  }

  @ParameterizedTest
  @EnumSource(value = DataType.class, names = "BYTES", mode = EnumSource.Mode.EXCLUDE)
  void fill_andCut_areInverse(DataType dataType) {
    Shape shape = Shape.of(2, 3, 2);
    try (Tensor tensor = Inputs.random(dataType, shape, new java.util.Random(5));
        Tensor longer = Lengths.fill(tensor, 1, 5, 1);
        Tensor back = Lengths.cut(longer, 1, 3)) {
      assertThat(longer.shape()).isEqualTo(Shape.of(2, 5, 2));
      assertThat(back.shape()).isEqualTo(shape);
      assertThat(back.data()).isEqualTo(tensor.data());
      byte[] one = Lengths.bytes(dataType, 1);
      byte[] last = new byte[one.length];
      longer.data().get(longer.byteSize() - one.length, last);
      assertThat(last).isEqualTo(one);
    }
  }

  @Test
  void fillValues_areOfTheirType() {
    assertThat(Lengths.bytes(DataType.FP32, -1.5)).containsExactly(0, 0, 0xc0, 0xbf);
    assertThat(Lengths.bytes(DataType.INT64, -100))
        .containsExactly(0x9c, 255, 255, 255, 255, 255, 255, 255);
    assertThat(Lengths.bytes(DataType.BF16, 1)).containsExactly(0x80, 0x3f);
    assertThat(Lengths.bytes(DataType.FP16, 1)).containsExactly(0, 0x3c);
    assertThat(Lengths.bytes(DataType.BOOL, 3)).containsExactly(1);
  }
}
