package dev.millrace.backend.python;

/** Numbers on the wire; see the package's description. */
final class Frame {
  static final byte CONFIGURE = 1;
  static final byte CALL = 2;
  static final byte PING = 3;
  static final byte MEMORY = 4;
  static final byte GENERATE = 5;
  static final byte CANCEL = 6;
  static final byte STREAM = 7;
  static final byte READY = 65;
  static final byte FAILED = 66;
  static final byte RESULT = 67;
  static final byte ERROR = 68;
  static final byte PONG = 69;
  static final byte REGION = 70;
  static final byte PART = 71;
  static final byte END = 72;

  /** Of calls and results: contents are in shared memory. */
  static final int IN_MEMORY = 1;

  /** Of calls: contents of the result must not be in shared memory. */
  static final int INLINE = 2;

  /** Of results: the region for outputs is another one than before. */
  static final int NEW_REGION = 2;

  /** Of results: the region for inputs is not to be used again. */
  static final int INPUTS_KEPT = 4;

  /** Contents of more bytes than this go through shared memory. */
  static final int MOST_INLINE = 64 << 10;

  /** Contents in shared memory start at multiples of this. */
  static final int ALIGNMENT = 64;

  /** Length and kind. */
  static final int HEAD_BYTES = 5;

  private Frame() {}

  /** {@code size} rounded up to where the next contents start. */
  static long aligned(long size) {
    return (size + ALIGNMENT - 1) & -ALIGNMENT;
  }
}
