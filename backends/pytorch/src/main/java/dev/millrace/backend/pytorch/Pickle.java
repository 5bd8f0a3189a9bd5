package dev.millrace.backend.pytorch;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Reads what PyTorch pickles into plain values: texts, numbers, truth values, lists (also for
 * tuples), maps, and what a class or function would be called with. Nothing is called.
 *
 * <p>The instructions are those of protocol 2, as Python's {@code pickletools} describes them, that
 * PyTorch's own pickler writes.
 */
final class Pickle {
  /** The name of a class or function. */
  record Global(String name) {}

  /** What a class or function is called with; a persistent id is a call of {@link #PERSISTENT}. */
  record Call(String name, Object arguments) {}

  static final String PERSISTENT = "persistent";

  /** In place of {@code None}, and as the bottom of what is marked. */
  private enum Sign {
    NONE,
    MARK
  }

  private final ByteBuffer bytes;
  private final Deque<Object> stack = new ArrayDeque<>();
  private final Map<Integer, Object> memo = new HashMap<>();

  private Pickle(byte[] bytes) {
    this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The value; empty if the bytes are anything else than what is described above. */
  static Optional<Object> read(byte[] bytes) {
    try {
      return Optional.of(new Pickle(bytes).run());
    } catch (BufferUnderflowException
        | NoSuchElementException
        | ClassCastException
        | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private Object run() {
    while (true) {
      int instruction = Byte.toUnsignedInt(bytes.get());
      switch (instruction) {
        case 0x80 -> bytes.get(); // the protocol's number
        case 'c' -> stack.push(new Global(line() + '.' + line()));
        case 'q' -> memo.put(Byte.toUnsignedInt(bytes.get()), stack.element());
        case 'r' -> memo.put(bytes.getInt(), stack.element());
        case 'h' -> stack.push(remembered(Byte.toUnsignedInt(bytes.get())));
        case 'j' -> stack.push(remembered(bytes.getInt()));
        case '(' -> stack.push(Sign.MARK);
        case '}' -> stack.push(new LinkedHashMap<>());
        case ']', ')' -> stack.push(new ArrayList<>());
        case 't' -> stack.push(marked());
        case 0x85 -> stack.push(top(1));
        case 0x86 -> stack.push(top(2));
        case 0x87 -> stack.push(top(3));
        case 'N' -> stack.push(Sign.NONE);
        case 0x88 -> stack.push(true);
        case 0x89 -> stack.push(false);
        case 'K' -> stack.push((long) Byte.toUnsignedInt(bytes.get()));
        case 'M' -> stack.push((long) Short.toUnsignedInt(bytes.getShort()));
        case 'J' -> stack.push((long) bytes.getInt());
        case 0x8a -> stack.push(longNumber());
        case 'G' -> stack.push(Double.longBitsToDouble(Long.reverseBytes(bytes.getLong())));
        case 'X' -> stack.push(text(bytes.getInt()));
        case 'Q' -> stack.push(new Call(PERSISTENT, stack.pop()));
        case 'R' -> {
          Object arguments = stack.pop();
          stack.push(new Call(((Global) stack.pop()).name, arguments));
        }
        case 'e' -> {
          List<Object> elements = marked();
          list(stack.element()).addAll(elements);
        }
        case 'a' -> {
          Object element = stack.pop();
          list(stack.element()).add(element);
        }
        case 'u' -> {
          List<Object> pairs = marked();
          for (int i = 0; i + 1 < pairs.size(); i += 2) {
            map(stack.element()).put(pairs.get(i), pairs.get(i + 1));
          }
        }
        case 's' -> {
          Object value = stack.pop();
          Object key = stack.pop();
          map(stack.element()).put(key, value);
        }
        case '.' -> {
          return stack.pop();
        }
        default -> throw new IllegalArgumentException("instruction " + instruction);
      }
    }
  }

  private Object remembered(int index) {
    @Nullable Object value = memo.get(index);
    if (value == null) {
      throw new NoSuchElementException("nothing is remembered as " + index);
    }
    return value;
  }

  /** What is above the last mark, which goes, too. */
  private List<Object> marked() {
    List<Object> elements = new ArrayList<>();
    for (Object top = stack.pop(); top != Sign.MARK; top = stack.pop()) {
      elements.add(top);
    }
    Collections.reverse(elements);
    return elements;
  }

  private List<Object> top(int count) {
    List<Object> elements = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      elements.add(stack.pop());
    }
    Collections.reverse(elements);
    return elements;
  }

  private String line() {
    int start = bytes.position();
    int length = 0;
    while (bytes.get() != '\n') {
      length++;
    }
    return new String(bytes.array(), start, length, US_ASCII);
  }

  private String text(int length) {
    if (length < 0 || length > bytes.remaining()) {
      throw new BufferUnderflowException();
    }
    byte[] text = new byte[length];
    bytes.get(text);
    return new String(text, UTF_8);
  }

  /** A number of as many bytes as the one before says. */
  private long longNumber() {
    int length = Byte.toUnsignedInt(bytes.get());
    if (length > Long.BYTES) {
      throw new IllegalArgumentException("a number of %d bytes".formatted(length));
    }
    long number = 0;
    for (int i = 0; i < length; i++) {
      long next = bytes.get();
      boolean last = i == length - 1;
      number |= (last ? next : next & 0xFF) << (8 * i);
    }
    return number;
  }

  @SuppressWarnings("unchecked") // made here
  private static List<Object> list(Object value) {
    return (List<Object>) value;
  }

  @SuppressWarnings("unchecked") // made here
  private static Map<Object, Object> map(Object value) {
    return (Map<Object, Object>) value;
  }
}
