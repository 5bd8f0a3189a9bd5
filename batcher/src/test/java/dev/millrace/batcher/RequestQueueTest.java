package dev.millrace.batcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.Deadline;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.BatchPolicy;
import dev.millrace.batcher.policy.GreedyPolicy;
import dev.millrace.batcher.policy.QueueView;
import dev.millrace.testing.TensorLeakExtension;
import java.time.Duration;
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
          Runnable::run,
          runner -> {});
  private final List<String> shapes = new ArrayList<>();
  private final RequestQueue queue =
      new RequestQueue(new BatcherConfig(CAP, 100, 1 << 20), new ShapeRecorder());
  private final List<Request> made = new ArrayList<>();
  private final List<Request> dropped = new ArrayList<>();

  /** Remembers the shapes that it is told of. */
  private final class ShapeRecorder implements BatchPolicy {
    @Override
    public void shape(int shape, long rowElements) {
      shapes.add("%d: %d".formatted(shape, rowElements));
    }

    @Override
    public Decision decide(QueueView view, Trigger trigger, long nowNanos) {
      throw new AssertionError();
    }
  }

  @AfterEach
  void closeInputs() {
    made.forEach(request -> request.inputs.close());
  }

  @Test
  void take_isInOrderUpToTheLimit() {
    Request a = add(1, 3);
    Request b = add(1, 4);
    Request c = add(1, 2);

    assertThat(rows()).isEqualTo(9);
    assertThat(requests()).isEqualTo(3);
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
  void lanes_areReusedOnceThereAreMany() {
    int many = RequestQueue.LANES_KEPT + 10;
    for (int width = 1; width <= many; width++) {
      add(width, 1);
    }
    assertThat(queue.lanes()).isEqualTo(many);
    for (int i = 0; i < many; i++) {
      take(8);
    }
    assertThat(queue.isEmpty()).isTrue();

    add(many, 1);
    assertThat(queue.lanes()).as("the lane is still there").isEqualTo(many);
    add(many + 1, 1);
    assertThat(queue.lanes()).as("another one went").isEqualTo(many);
    add(1, 1);
    assertThat(queue.lanes()).isEqualTo(many);
    assertThat(shapes)
        .as("the lane that was empty for longest gave its number")
        .endsWith("%d: %d".formatted(0, many + 1), "%d: %d".formatted(1, 1));
  }

  @Test
  void order_isByDeadlineWithinAPriority() {
    Request plain = add(1, 1, Deadline.none(), 0);
    Request late = add(1, 1, new Deadline(900_000_000), 0);
    Request urgent = add(1, 1, new Deadline(5_000_000), 0);
    Request farAway = add(1, 1, new Deadline(Duration.ofMinutes(10).toNanos()), 0);
    Request unimportant = add(1, 1, new Deadline(2_000_000), 1);
    Request important = add(1, 1, new Deadline(3_000_000), 0);

    assertThat(take(8))
        .extracting(part -> part.request)
        .containsExactly(important, urgent, late, plain, farAway, unimportant);
  }

  @Test
  void priority_isAMatterOfASecond() {
    Request unimportant = add(1, 1, Deadline.none(), 1);
    Request soonAfter = addAt(Duration.ofMillis(900), 0);
    Request longAfter = addAt(Duration.ofMillis(1_100), 0);

    assertThat(take(8))
        .extracting(part -> part.request)
        .containsExactly(soonAfter, unimportant, longAfter);
  }

  @Test
  void remove_takesFromTheMiddle() {
    Request first = add(1, 2, new Deadline(3), 0);
    Request second = add(1, 3, new Deadline(4), 0);
    Request third = add(1, 1, Deadline.none(), 0);
    Request fourth = add(1, 1, new Deadline(5), 1);
    queue.selectFront();

    assertThat(queue.remove(1, 2)).containsExactly(second, third);
    assertThat(queue.rows()).isEqualTo(3);
    assertThat(queue.requests()).isEqualTo(2);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(first, fourth);
  }

  @Test
  void view_showsTheFront() {
    add(1, 2, new Deadline(5), 0);
    add(1, 3, new Deadline(4), 0);
    add(2, 1, Deadline.none(), 0);
    assertThat(queue.selectFront()).isTrue();

    assertThat(queue.shape()).isZero();
    assertThat(queue.hasDeadlines()).isTrue();
    assertThat(queue.ordered()).isTrue();
    assertThat(queue.rows(0)).isEqualTo(3);
    assertThat(queue.deadlineNanos(0)).isEqualTo(4);
    assertThat(queue.deadlineNanos(1)).isEqualTo(5);
    assertThat(queue.acceptedNanos(1)).isZero();
    assertThat(queue.priority(1)).isZero();
    add(1, 1, Deadline.none(), 0);
    assertThat(queue.ordered()).isFalse();
    add(1, 1, Deadline.none(), 1);
    assertThat(queue.priority(3)).isOne();
    assertThat(queue.ordered()).isFalse();
    take(8);
    assertThat(queue.selectFront()).isTrue();
    assertThat(queue.shape()).isEqualTo(1);
    assertThat(queue.hasDeadlines()).isFalse();
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
    assertThat(queue.totalRows()).isEqualTo(7);
    List<Part> third = take(100);
    assertThat(third).extracting(part -> part.from).containsExactly(13);
    assertThat(third).extracting(part -> part.rows).containsExactly(7);
    assertThat(queue.isEmpty()).isTrue();
  }

  @Test
  void take_runsRequestsWithoutRowsAlone() {
    Request a = add(1, 1);
    Request none = add(1, 0);
    Request b = add(1, 1);

    assertThat(take(8)).extracting(part -> part.request).containsExactly(a);
    assertThat(rows()).isEqualTo(1);
    assertThat(requests()).isEqualTo(1);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(none);
    assertThat(take(8)).extracting(part -> part.request).containsExactly(b);
  }

  @Test
  void take_runsEachRequestAloneOnceMergingStopped() {
    add(1, 1);
    add(1, 1);
    queue.merging(false);

    assertThat(requests()).isEqualTo(1);
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
  void rows_areRightWhateverHappens() {
    Random random = new Random(11);
    DeadlineHeap heap = new DeadlineHeap();
    for (int step = 0; step < 3_000; step++) {
      switch (random.nextInt(4)) {
        case 0, 1 -> {
          Deadline deadline =
              random.nextBoolean() ? Deadline.none() : new Deadline(random.nextInt(1, 1_000));
          add(1 + random.nextInt(3), random.nextInt(30), deadline, random.nextInt(2));
        }
        case 2 -> {
          List<Request> waiting = waiting();
          if (!waiting.isEmpty()) {
            Request request = waiting.get(random.nextInt(waiting.size()));
            assertThat(request.drop()).isTrue();
            assertThat(request.drop()).isFalse();
            queue.removeDropped(heap);
          }
        }
        case 3 -> {
          if (!queue.isEmpty()) {
            List<Part> parts = take(1 + random.nextInt(2 * CAP));
            assertThat(parts)
                .extracting(part -> part.request.key)
                .containsOnly(parts.getFirst().request.key);
            assertThat(parts.stream().mapToInt(part -> part.rows).sum()).isLessThanOrEqualTo(CAP);
          }
        }
        default -> throw new AssertionError();
      }
      List<Request> waiting = waiting();
      assertThat(queue.totalRows())
          .isEqualTo(waiting.stream().mapToInt(Request::waitingRows).sum());
      assertThat(queue.isEmpty()).isEqualTo(waiting.isEmpty());
      if (queue.selectFront()) {
        long front = queue.first().rank;
        assertThat(waiting).allMatch(request -> request.rank >= front);
      }
    }
  }

  private List<Request> waiting() {
    return made.stream().filter(Request::isWaiting).toList();
  }

  private int rows() {
    assertThat(queue.selectFront()).isTrue();
    return queue.rows();
  }

  private int requests() {
    assertThat(queue.selectFront()).isTrue();
    return queue.requests();
  }

  private Request add(int width, int rows) {
    return add(width, rows, Deadline.none(), 0);
  }

  private Request add(int width, int rows, Deadline deadline, int priority) {
    return add(width, rows, deadline, priority, 0);
  }

  private Request addAt(Duration time, int priority) {
    return add(1, 1, Deadline.none(), priority, time.toNanos());
  }

  private Request add(int width, int rows, Deadline deadline, int priority, long acceptedNanos) {
    TensorMap inputs =
        TensorMap.of("x", Tensor.copyOf(Shape.of(rows, width), new int[rows * width]));
    Request request =
        new Request(
            dispatcher,
            BatchKey.of(inputs, List.of()),
            inputs,
            List.of(),
            Parameters.empty(),
            deadline,
            priority,
            acceptedNanos,
            rows,
            rows == 0,
            rows > CAP);
    made.add(request);
    queue.add(request);
    return request;
  }

  private List<Part> take(int limit) {
    List<Part> parts = new ArrayList<>();
    assertThat(queue.selectFront()).isTrue();
    queue.take(limit, 0, parts, dropped);
    return parts;
  }
}
