package dev.millrace.server.llm;

import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * The pieces of an answer that is not sent before it is complete. What it holds counts as memory of
 * requests in flight. Everything happens on the event loop.
 */
final class HeldAnswer {
  private final RelayParts memory;
  private final List<ByteBuf> pieces = new ArrayList<>(2);
  private int size;

  /** One that holds nothing. */
  HeldAnswer(RelayParts memory) {
    this.memory = memory;
  }

  /** Bytes held. */
  int size() {
    return size;
  }

  /**
   * Takes a piece over, unless there would be more than {@code most} bytes, or no memory is left.
   *
   * @return whether it did
   */
  boolean add(ByteBuf piece, int most) {
    int bytes = piece.readableBytes();
    if (size + bytes > most || !memory.takeMemory(bytes)) {
      return false;
    }
    pieces.add(piece);
    size += bytes;
    return true;
  }

  /** Moves all of it into {@code to}, which stays the caller's. */
  void moveTo(ByteBuf to) {
    pieces.forEach(to::writeBytes);
    release();
  }

  /** Moves all of it, piece by piece. */
  void moveTo(Consumer<ByteBuf> to) {
    pieces.forEach(to);
    forget();
  }

  /** Holds nothing any more. */
  void release() {
    pieces.forEach(ByteBuf::release);
    forget();
  }

  private void forget() {
    pieces.clear();
    memory.giveMemory(size);
    size = 0;
  }
}
