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
     * A whole event with the empty line at its end: the bytes of {@code in} from {@code start} to
     * {@code end}, to be looked at only.
     *
     * @return whether it is passed on
     */
    boolean event(ByteBuf in, int start, int end);
  }

  private final Observer observer;

  /** Goes on until an event ends, where lines may end with CR. */
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
      boolean hasReturns = afterReturn || joined.indexOf(i, joined.writerIndex(), (byte) '\r') >= 0;
      while (i < joined.writerIndex()) {
        i = hasReturns ? endOfAnyEvent(joined, i) : endOfEvent(joined, i);
        if (i < 0) {
          break;
        }
        boolean passed = isPassing || observer.event(joined, start, i);
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
    if (start == from.readerIndex() && end == from.writerIndex()) {
      out.accept(from.retain());
    } else if (end > start) {
      out.accept(from.retainedSlice(start, end - start));
    }
  }

  /**
   * Behind the first event that ends at {@code from} or later; negative if none does. For lines
   * that end with LF alone, which are nearly all: looks at eight bytes at a time.
   */
  private int endOfEvent(ByteBuf in, int from) {
    int at = from;
    while (at < in.writerIndex()) {
      int newline = in.indexOf(at, in.writerIndex(), (byte) '\n');
      boolean ends = newline == at && isLineEmpty;
      isLineEmpty = newline >= 0;
      if (newline < 0) {
        return -1;
      }
      at = newline + 1;
      if (ends) {
        return at;
      }
    }
    return -1;
  }

  /** The same for lines that end in any way. */
  private int endOfAnyEvent(ByteBuf in, int from) {
    int last = in.forEachByte(from, in.writerIndex() - from, search);
    if (last < 0) {
      return -1;
    }
    if (afterReturn && last + 1 < in.writerIndex() && in.getByte(last + 1) == '\n') {
      afterReturn = false;
      return last + 2;
    }
    return last + 1;
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
