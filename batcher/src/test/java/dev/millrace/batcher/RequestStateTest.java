package dev.millrace.batcher;

import dev.millrace.api.Deadline;
import dev.millrace.api.Parameters;
import dev.millrace.api.TensorMap;
import dev.millrace.api.Ticker;
import dev.millrace.batcher.policy.GreedyPolicy;
import java.util.List;
import org.jctools.queues.varhandle.MpscChunkedVarHandleArrayQueue;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.junit.jupiter.api.Test;

/**
 * That a request ends in one way whatever races, by Lincheck: any interleaving of the operations
 * gives what some order of them, one after the other, gives.
 */
public class RequestStateTest {
  private static final Dispatcher DISPATCHER =
      new Dispatcher(
          "m",
          new BatcherConfig(8, 100_000, 1 << 20),
          new GreedyPolicy(),
          BatchListener.none(),
          Ticker.system(),
          Runnable::run,
          runner -> {});

  private static Request request(int rows) {
    return new Request(
        DISPATCHER,
        BatchKey.none(),
        TensorMap.empty(),
        List.of(),
        Parameters.empty(),
        Deadline.none(),
        0,
        0,
        rows,
        false,
        rows > 8);
  }

  /** A runner takes, a client and the timer drop. */
  public static class Whole {
    private final Request request = request(1);

    @Operation
    public boolean take() {
      return request.take(8) != null;
    }

    @Operation
    public boolean drop() {
      return request.drop();
    }

    @Operation
    public boolean isWaiting() {
      return request.isWaiting();
    }
  }

  /** The same for a request that leaves in three pieces. */
  public static class InPieces {
    private final Request request = request(20);

    @Operation(nonParallelGroup = "runners, under the lock")
    public int take() {
      Part part = request.take(8);
      return part == null ? 0 : part.rows;
    }

    @Operation
    public boolean drop() {
      return request.drop();
    }

    @Operation
    public boolean hasStarted() {
      return request.hasStarted();
    }
  }

  /** What submitters and the lock's holder do to the inbox. */
  public static class Inbox {
    private final MpscChunkedVarHandleArrayQueue<Integer> inbox =
        new MpscChunkedVarHandleArrayQueue<>(2, 4);

    @Operation
    public boolean offer(@Param(gen = IntGen.class) int value) {
      return inbox.offer(value);
    }

    @Operation(nonParallelGroup = "the lock's holder")
    public int poll() {
      Integer value = inbox.poll();
      return value == null ? -1 : value;
    }
  }

  private static void check(Class<?> operations) {
    new StressOptions()
        .iterations(20)
        .invocationsPerIteration(500)
        .threads(3)
        .actorsPerThread(2)
        .check(operations);
  }

  @Test
  void wholeRequest_isTakenOrDroppedOnce() {
    check(Whole.class);
  }

  @Test
  void oversizedRequest_isTakenToItsEndOrDropped() {
    check(InPieces.class);
  }

  @Test
  void inbox_losesNothingAndInventsNothing() {
    check(Inbox.class);
  }
}
