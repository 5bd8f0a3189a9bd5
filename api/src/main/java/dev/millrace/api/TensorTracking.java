package dev.millrace.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Remembers where each open tensor that owns memory was made, to name the ones that were forgotten.
 * Off unless the system property {@code millrace.tensor-tracking} is {@code true}: it costs a stack
 * trace a tensor. Thread-safe.
 */
public final class TensorTracking {
  private static final boolean ON = Boolean.getBoolean("millrace.tensor-tracking");
  private static final Map<Tensor, Throwable> OPEN = new ConcurrentHashMap<>();

  private TensorTracking() {}

  static void opened(Tensor tensor) {
    if (ON) {
      OPEN.put(tensor, new Throwable(tensor + " was made here and is still open"));
    }
  }

  static void closed(Tensor tensor) {
    if (ON) {
      OPEN.remove(tensor);
    }
  }

  /** Whether tensors are tracked. */
  public static boolean isOn() {
    return ON;
  }

  /** For each open tensor, a throwable whose stack trace says where it was made. */
  public static List<Throwable> open() {
    return new ArrayList<>(OPEN.values());
  }
}
