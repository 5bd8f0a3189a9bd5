package dev.millrace.server.llm;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.util.ByteProcessor;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Cuts a stream of server-sent events, which come in any pieces, where an event ends, so that only
 * whole events are passed on; what is passed on is not copied. An event ends with an empty line;
 * lines end with LF, CR or both. Not thread-safe.
 *
 * @see <a href="https://html.spec.whatwg.org/multipage/server-sent-events.html">the format</a>
 */
final class SseFramer {
  /** Most bytes of an event that are held back; one that is longer is passed on in pieces. */
  private static final int MOST_HELD = 1 << 20;

  /** Sees the events. */
  interface Observer {
    /**
     * A whole event with the empty line at its end, to be looked at only.
     *
     * @return whether it is passed on
     */
    boolean event(ByteBuf event);
  }

  private final Observer observer;

  /** Goes on until an event ends. */
  private final ByteProcessor search = b -> !endsEvent(b);

  /** The beginning of an event whose end has not come. */
  private @Nullable ByteBuf held;

  private boolean isLineEmpty = true;
  private boolean afterReturn;

  /** Whether the beginning of the current event was passed on already. */
  private boolean isPassing;

  SseFramer(Observer observer) {
    this.observer = observer;
  }

  /**
   * Adds a piece, which is taken over.
   *
   * @param out gets what is to be passed on, and takes it over
   */
  void add(ByteBuf piece, ByteBufAllocator allocator, Consumer<ByteBuf> out) {
    ByteBuf joined = piece;
    int scanned = piece.readerIndex();
    if (held != null) {
      scanned = held.writerIndex();
      joined = held.writeBytes(piece);
      piece.release();
      held = null;
    }
    try {
      int kept = joined.readerIndex();
      int start = kept;
      int i = scanned;
      while (i < joined.writerIndex()) {
        int last = joined.forEachByte(i, joined.writerIndex() - i, search);
        if (last < 0) {
          break;
        }
        i = last + 1;
        if (afterReturn && i < joined.writerIndex() && joined.getByte(i) == '\n') {
          afterReturn = false;
          i++;
        }
        boolean passed = isPassing || observer.event(joined.slice(start, i - start));
        isPassing = false;
        if (!passed) {
          pass(joined, kept, start, out);
          kept = i;
        }
        start = i;
      }
      if (isPassing || joined.writerIndex() - start > MOST_HELD) {
        isPassing = joined.writerIndex() > start || isPassing;
        start = joined.writerIndex();
      }
      pass(joined, kept, start, out);
      if (start < joined.writerIndex()) {
        int rest = joined.writerIndex() - start;
        held = allocator.directBuffer(Math.max(256, 2 * rest)).writeBytes(joined, start, rest);
      }
    } finally {
      joined.release();
    }
  }

  private static void pass(ByteBuf from, int start, int end, Consumer<ByteBuf> out) {
    if (end > start) {
      out.accept(from.retainedSlice(start, end - start));
    }
  }

  /** Whether an event ends with that byte. */
  private boolean endsEvent(byte b) {
    if (b == '\n' && afterReturn) { // the second half of a line's end
      afterReturn = false;
      return false;
    }
    afterReturn = b == '\r';
    if (b != '\n' && b != '\r') {
      isLineEmpty = false;
      return false;
    }
    boolean ends = isLineEmpty;
    isLineEmpty = true;
    return ends;
  }

  /** What is held back at the end of the stream, now the caller's; null if nothing is. */
  @Nullable ByteBuf rest() {
    ByteBuf rest = held;
    held = null;
    return rest;
  }

  /** Drops what is held back: its end will not come. */
  void close() {
    if (held != null) {
      held.release();
      held = null;
    }
  }
}
