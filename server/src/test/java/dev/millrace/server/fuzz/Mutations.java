package dev.millrace.server.fuzz;

import java.util.Arrays;
import java.util.Random;

/** Changes valid messages into ones that mostly are not. */
public final class Mutations {
  private static final byte[] TOKENS =
      "[]{}\",:0123456789.eE-+tfnNI\\ub".getBytes(java.nio.charset.StandardCharsets.US_ASCII);

  private Mutations() {}

  /** A copy with one to four changes: bytes changed, dropped, doubled, put in, or the end cut. */
  public static byte[] of(byte[] message, Random random) {
    byte[] mutated = message;
    for (int changes = 1 + random.nextInt(4); changes > 0 && mutated.length > 1; changes--) {
      mutated = change(mutated, random);
    }
    return mutated;
  }

  private static byte[] change(byte[] message, Random random) {
    int at = random.nextInt(message.length);
    int length = 1 + random.nextInt(Math.min(8, message.length - at));
    return switch (random.nextInt(6)) {
      case 0 -> with(message, at, (byte) random.nextInt());
      case 1 -> with(message, at, TOKENS[random.nextInt(TOKENS.length)]);
      case 2 -> replace(message, at, length, new byte[0]);
      case 3 -> replace(message, at, 0, Arrays.copyOfRange(message, at, at + length));
      case 4 -> replace(message, at, 0, new byte[] {TOKENS[random.nextInt(TOKENS.length)]});
      default -> Arrays.copyOf(message, at);
    };
  }

  private static byte[] with(byte[] message, int at, byte value) {
    byte[] changed = message.clone();
    changed[at] = value;
    return changed;
  }

  private static byte[] replace(byte[] message, int at, int length, byte[] by) {
    byte[] changed = new byte[message.length - length + by.length];
    System.arraycopy(message, 0, changed, 0, at);
    System.arraycopy(by, 0, changed, at, by.length);
    System.arraycopy(message, at + length, changed, at + by.length, message.length - at - length);
    return changed;
  }
}
