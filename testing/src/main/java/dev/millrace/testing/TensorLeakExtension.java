package dev.millrace.testing;

import dev.millrace.api.TensorTracking;
import java.time.Duration;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/**
 * Fails a test that leaves tensors open which it opened, and says where each was made. Tensors that
 * other threads are about to close are waited for. Tests of one JVM that use it run one after the
 * other.
 */
public final class TensorLeakExtension implements BeforeEachCallback, AfterEachCallback {
  /** How long to wait for other threads to close what the test is done with. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private static final Namespace NAMESPACE = Namespace.create(TensorLeakExtension.class);

  /** A new extension; JUnit calls it. */
  public TensorLeakExtension() {}

  @Override
  public void beforeEach(ExtensionContext context) {
    if (!TensorTracking.isOn()) {
      throw new IllegalStateException("run the tests with -Dmillrace.tensor-tracking=true");
    }
    Set<Throwable> before = Collections.newSetFromMap(new IdentityHashMap<>());
    before.addAll(TensorTracking.open());
    context.getStore(NAMESPACE).put(context.getUniqueId(), before);
  }

  @Override
  public void afterEach(ExtensionContext context) {
    Set<?> before = context.getStore(NAMESPACE).remove(context.getUniqueId(), Set.class);
    requireNoneBut(before == null ? Set.of() : before, PATIENCE);
  }

  /**
   * Waits until no tensor is open but those in {@code before}.
   *
   * @throws AssertionError if some still are after {@code patience}
   */
  static void requireNoneBut(Set<?> before, Duration patience) {
    long start = System.nanoTime();
    List<Throwable> left = left(before);
    while (!left.isEmpty() && System.nanoTime() - start < patience.toNanos()) {
      LockSupport.parkNanos(1_000_000);
      left = left(before);
    }
    if (!left.isEmpty()) {
      AssertionError leak = new AssertionError(left.size() + " tensors were not closed");
      left.forEach(leak::addSuppressed);
      throw leak;
    }
  }

  private static List<Throwable> left(Set<?> before) {
    return TensorTracking.open().stream().filter(origin -> !before.contains(origin)).toList();
  }
}
