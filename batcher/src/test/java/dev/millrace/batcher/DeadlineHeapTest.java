package dev.millrace.batcher;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.GreedyPolicy;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class DeadlineHeapTest {
  private final Dispatcher dispatcher =
      new Dispatcher(
          "m",
          new BatcherConfig(0, 1, 1),
          new GreedyPolicy(),
          BatchListener.none(),
          Ticker.system(),
          Runnable::run,
          runner -> {});
  private final DeadlineHeap heap = new DeadlineHeap();

  @Test
  void peek_isTheEarliestWhateverIsAddedAndRemoved() {
    Random random = new Random(3);
    List<Request> model = new ArrayList<>();
    for (int step = 0; step < 20_000; step++) {
      if (random.nextInt(1000) < 550) {
        Request request = request(random.nextInt(200));
        heap.add(request);
        model.add(request);
      } else if (!model.isEmpty()) {
        Request request =
            random.nextBoolean() ? earliest() : model.get(random.nextInt(model.size()));
        heap.remove(request);
        model.remove(request);
        assertThat(request.heapIndex).isEqualTo(-1);
        heap.remove(request);
      }
      assertThat(heap.size()).isEqualTo(model.size());
      if (step % 50 == 0 && !model.isEmpty()) {
        assertThat(earliest().deadline.nanos())
            .isEqualTo(
                model.stream()
                    .map(request -> request.deadline.nanos())
                    .min(Comparator.naturalOrder())
                    .orElseThrow());
      }
    }
  }

  @Test
  void order_isByDifference() {
    Request early = request(Long.MAX_VALUE - 10);
    Request late = request(Long.MIN_VALUE + 10);
    heap.add(late);
    heap.add(early);
    assertThat(heap.peek()).isSameAs(early);
  }

  private Request earliest() {
    return requireNonNull(heap.peek());
  }

  private Request request(long deadline) {
    return new Request(
        dispatcher,
        BatchKey.none(),
        TensorMap.empty(),
        List.of(),
        Parameters.empty(),
        new Deadline(deadline),
        0,
        0,
        1,
        true,
        false);
  }
}
