package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.testing.TensorLeakExtension;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class RequestQueueTest {
  private static final int CAP = 8;

  private final Dispatcher dispatcher =
      new Dispatcher(
          "m",
          new BatcherConfig(CAP, 100, 1 << 20),
          new GreedyPolicy(),
          BatchListener.none(),
          Ticker.system(),
          1);
  private final RequestQueue queue = new RequestQueue(CAP);
  private final List<Request> made = new ArrayList<>();
  private final List<Request> dropped = new ArrayList<>();

  @AfterEach
  void closeInputs() {
    made.forEach(request -> request.inputs.close());
  }

  @Test
  void take_isInOrderUpToTheLimit() {
    Request a = add(1, 3);
    Request b = add(1, 4);
    Request c = add(1, 2);

    assertThat(queue.frontRows()).isEqualTo(9);
    assertThat(queue.frontRequests()).isEqualTo(3);
    assertThat(take(100)).extracting(part -> part.request).containsExactly(a, b);
    assertThat(take(100)).extracting(part -> part.request).containsExactly(c);
    assertThat(queue.isEmpty()).isTrue();
  }

  @Test
  void take_doesNotOvertakeARequestThatDoesNotFit() {
    Request a = add(1, 5);
    Request b = add(1, 5);
    Request c = add(1, 1);

    assertThat(take(8)).extracting(part -> part.request).containsExactly(a);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(b, c);
  }

  @Test
  void take_isAtLeastOneRequest() {
    Request a = add(1, 5);
    add(1, 1);

    assertThat(take(2)).extracting(part -> part.request).containsExactly(a);
  }

  @Test
  void take_startsWithTheOldestOfAllKeys() {
    Request a1 = add(1, 1);
    Request b1 = add(2, 1);
    Request a2 = add(1, 1);
    Request c1 = add(3, 1);
    Request b2 = add(2, 1);

    assertThat(take(8)).extracting(part -> part.request).containsExactly(a1, a2);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(b1, b2);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(c1);
  }

  @Test
  void lanes_goWhenTheyAreEmpty() {
    for (int width = 1; width <= 50; width++) {
      add(width, 1);
    }
    assertThat(queue.lanes()).isEqualTo(50);
    for (int i = 0; i < 25; i++) {
      take(8);
    }
    made.subList(25, 50).forEach(queue::remove);
    assertThat(queue.isEmpty()).isTrue();
    assertThat(queue.lanes()).isEqualTo(1);

    add(50, 1);
    assertThat(queue.lanes()).isEqualTo(1);
    add(51, 1);
    take(8);
    take(8);
    assertThat(queue.lanes()).isEqualTo(1);
  }

  @Test
  void take_splitsAnOversizedRequestAndLetsOthersBetween() {
    Request big = add(1, 20);
    Request small = add(1, 3);

    List<Part> first = take(100);
    assertThat(first).extracting(part -> part.request).containsExactly(big);
    assertThat(first).extracting(part -> part.rows).containsExactly(8);
    List<Part> second = take(100);
    assertThat(second).extracting(part -> part.request).containsExactly(small, big);
    assertThat(second).extracting(part -> part.from).containsExactly(0, 8);
    assertThat(second).extracting(part -> part.rows).containsExactly(3, 5);
    assertThat(queue.queuedRows()).isEqualTo(7);
    assertThat(queue.bytes()).isEqualTo(big.bytes);
    List<Part> third = take(100);
    assertThat(third).extracting(part -> part.from).containsExactly(13);
    assertThat(third).extracting(part -> part.rows).containsExactly(7);
    assertThat(queue.isEmpty()).isTrue();
    assertThat(queue.bytes()).isZero();
  }

  @Test
  void take_runsRequestsWithoutRowsAlone() {
    Request a = add(1, 1);
    Request none = add(1, 0);
    Request b = add(1, 1);

    assertThat(take(8)).extracting(part -> part.request).containsExactly(a);
    assertThat(queue.frontRows()).isEqualTo(1);
    assertThat(queue.frontRequests()).isEqualTo(1);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(none);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(b);
  }

  @Test
  void take_runsEachRequestAloneOnceMergingStopped() {
    add(1, 1);
    add(1, 1);
    queue.stopMerging();

    assertThat(queue.frontRequests()).isEqualTo(1);
    assertThat(take(8)).hasSize(1);
    assertThat(take(8)).hasSize(1);
  }

  @Test
  void take_leavesOutWhatIsOver() {
    Request a = add(1, 1);
    Request over = add(1, 1);
    Request b = add(1, 1);
    assertThat(over.reply.complete(TensorMap.empty())).isTrue();

    assertThat(take(8)).extracting(part -> part.request).containsExactly(a, b);
    assertThat(dropped).containsExactly(over);
    assertThat(queue.isEmpty()).isTrue();
  }

  @Test
  void counters_areRightWhateverHappens() {
    Random random = new Random(11);
    List<Request> waiting = new ArrayList<>();
    for (int step = 0; step < 3_000; step++) {
      switch (random.nextInt(4)) {
        case 0, 1 -> waiting.add(add(1 + random.nextInt(3), random.nextInt(30)));
        case 2 -> {
          if (!waiting.isEmpty()) {
            Request request = waiting.remove(random.nextInt(waiting.size()));
            assertThat(queue.remove(request)).isTrue();
            assertThat(queue.remove(request)).isFalse();
          }
        }
        case 3 -> {
          if (!queue.isEmpty()) {
            List<Part> parts = take(1 + random.nextInt(2 * CAP));
            assertThat(parts)
                .extracting(part -> part.request.key)
                .containsOnly(parts.getFirst().request.key);
            assertThat(parts.stream().mapToInt(part -> part.rows).sum()).isLessThanOrEqualTo(CAP);
            waiting.removeIf(request -> request.lane == null);
          }
        }
        default -> throw new AssertionError();
      }
      assertThat(queue.requests()).isEqualTo(waiting.size());
      assertThat(queue.bytes()).isEqualTo(waiting.stream().mapToLong(r -> r.bytes).sum());
      assertThat(queue.queuedRows())
          .isEqualTo(waiting.stream().mapToInt(Request::waitingRows).sum());
      assertThat(queue.isEmpty()).isEqualTo(waiting.isEmpty());
      assertThat(queue.lanes()).isLessThanOrEqualTo(4);
    }
  }

  private Request add(int width, int rows) {
    TensorMap inputs =
        TensorMap.of("x", Tensor.copyOf(Shape.of(rows, width), new int[rows * width]));
    Request request =
        new Request(
            dispatcher,
            BatchKey.of(inputs, List.of()),
            inputs,
            List.of(),
            Deadline.none(),
            made.size(),
            rows,
            rows == 0,
            rows > CAP);
    made.add(request);
    queue.add(request);
    return request;
  }

  private List<Part> take(int limit) {
    List<Part> parts = new ArrayList<>();
    queue.take(limit, 0, parts, dropped);
    return parts;
  }
}
