package dev.millrace.api;

/**
 * Where a model instance runs.
 *
 * @param index which one of its kind, from 0, after the process's own renumbering (as CUDA does)
 */
public record Device(Kind kind, int index) {
  /** The kinds of device that instances can be placed on. */
  public enum Kind {
    CPU,
    GPU
  }

  /** The processors of this machine, as one device. */
  public static final Device CPU = new Device(Kind.CPU, 0);

  public Device {
    if (index < 0) {
      throw new IllegalArgumentException("device index is negative: " + index);
    }
  }

  /** {@code cpu} or {@code gpu:N}. */
  @Override
  public String toString() {
    return kind == Kind.CPU ? "cpu" : "gpu:" + index;
  }
}
