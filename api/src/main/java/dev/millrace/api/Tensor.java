package dev.millrace.api;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * One dense, row-major, little-endian array in memory outside the heap, with its datatype, its
 * concrete shape, and who releases the memory.
 *
 * <p>A tensor has one owner, who closes it once; using it afterwards throws. {@link #wrap} shares
 * memory that somebody made, {@link #copyOf} copies; nothing else creates a tensor. The contents
 * are not written to once the tensor is made.
 *
 * <p>Safe to hand from one thread to another and to be read by several. Closing while another
 * thread reads is the owner's mistake to avoid.
 */
public final class Tensor implements AutoCloseable {
  private static final VarHandle CLOSED;

  static {
    try {
      CLOSED = MethodHandles.lookup().findVarHandle(Tensor.class, "closed", boolean.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final DataType dataType;
  private final Shape shape;
  private final ByteBuffer data;

  /** Gives the memory back; null if nobody has to. */
  private final @Nullable AutoCloseable owner;

  @SuppressWarnings("unused") // through CLOSED
  private volatile boolean closed;

  private Tensor(DataType dataType, Shape shape, ByteBuffer data, @Nullable AutoCloseable owner) {
    this.dataType = requireNonNull(dataType, "dataType is null");
    this.shape = requireNonNull(shape, "shape is null");
    this.data = data;
    this.owner = owner;
    check(dataType, shape, data);
    if (owner != null) {
      TensorTracking.opened(this);
    }
  }

  /**
   * A tensor over the remaining bytes of {@code data}, which must stay valid and unchanged while
   * the tensor is open. Nobody is told when it closes.
   *
   * @param data a direct buffer; its position and order are left alone
   * @throws InferenceException INVALID_ARGUMENT if the bytes do not fit datatype and shape
   */
  public static Tensor wrap(DataType dataType, Shape shape, ByteBuffer data) {
    return new Tensor(dataType, shape, littleEndian(data), null);
  }

  /**
   * As {@link #wrap(DataType, Shape, ByteBuffer)}; {@code owner} is closed when the tensor is.
   *
   * @throws InferenceException INVALID_ARGUMENT if the bytes do not fit; {@code owner} is then not
   *     closed
   */
  public static Tensor wrap(DataType dataType, Shape shape, ByteBuffer data, AutoCloseable owner) {
    return new Tensor(dataType, shape, littleEndian(data), requireNonNull(owner));
  }

  /**
   * A tensor over the first bytes of a pooled buffer, as many as datatype and shape take. The
   * tensor takes the buffer over.
   *
   * @param dataType of fixed size
   * @throws InferenceException INVALID_ARGUMENT if the buffer is too small; it stays the caller's
   */
  public static Tensor wrap(DataType dataType, Shape shape, PooledBuffer buffer) {
    long size = byteSize(dataType, shape);
    return new Tensor(
        dataType, shape, buffer.view((int) Math.min(size, buffer.capacity())), buffer);
  }

  /** A copy of the remaining bytes of {@code data} in memory from the shared pool. */
  public static Tensor copyOf(DataType dataType, Shape shape, ByteBuffer data) {
    int size = data.remaining();
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer view = buffer.view(size);
      view.put(0, data, data.position(), size);
      return new Tensor(dataType, shape, view, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /** An FP32 tensor. */
  public static Tensor copyOf(Shape shape, float... values) {
    ByteBuffer bytes = allocate(values.length * 4L);
    bytes.asFloatBuffer().put(values);
    return copyOf(DataType.FP32, shape, bytes);
  }

  /** An FP64 tensor. */
  public static Tensor copyOf(Shape shape, double... values) {
    ByteBuffer bytes = allocate(values.length * 8L);
    bytes.asDoubleBuffer().put(values);
    return copyOf(DataType.FP64, shape, bytes);
  }

  /** An INT32 tensor. */
  public static Tensor copyOf(Shape shape, int... values) {
    ByteBuffer bytes = allocate(values.length * 4L);
    bytes.asIntBuffer().put(values);
    return copyOf(DataType.INT32, shape, bytes);
  }

  /** An INT64 tensor. */
  public static Tensor copyOf(Shape shape, long... values) {
    ByteBuffer bytes = allocate(values.length * 8L);
    bytes.asLongBuffer().put(values);
    return copyOf(DataType.INT64, shape, bytes);
  }

  /** A BYTES tensor of texts in UTF-8. */
  public static Tensor copyOf(Shape shape, String... values) {
    List<byte[]> elements = new ArrayList<>(values.length);
    for (String value : values) {
      elements.add(value.getBytes(UTF_8));
    }
    return copyOf(shape, elements);
  }

  /** A BYTES tensor of these elements. */
  public static Tensor copyOf(Shape shape, List<byte[]> elements) {
    long size = 0;
    for (byte[] element : elements) {
      size += 4L + element.length;
    }
    ByteBuffer bytes = allocate(size);
    for (byte[] element : elements) {
      bytes.putInt(element.length).put(element);
    }
    return copyOf(DataType.BYTES, shape, bytes.flip());
  }

  private static ByteBuffer allocate(long size) {
    return ByteBuffer.allocate(Math.toIntExact(size)).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static ByteBuffer littleEndian(ByteBuffer data) {
    if (!data.isDirect()) {
      throw new IllegalArgumentException("a tensor wraps direct buffers only");
    }
    return data.slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void check(DataType dataType, Shape shape, ByteBuffer data) {
    if (!shape.isConcrete()) {
      throw InferenceException.invalidArgument("shape %s is not concrete".formatted(shape));
    }
    if (dataType.isFixedSize()) {
      long expected = byteSize(dataType, shape);
      if (expected != data.remaining()) {
        throw InferenceException.invalidArgument(
            "a tensor of %s%s has %d bytes, got %d"
                .formatted(dataType, shape, expected, data.remaining()));
      }
    } else {
      long elements = countElements(data);
      if (elements != shape.elementCount()) {
        throw InferenceException.invalidArgument(
            "a tensor of %s%s has %d elements, got %s"
                .formatted(
                    dataType,
                    shape,
                    shape.elementCount(),
                    elements < 0 ? "bytes that do not add up" : elements));
      }
    }
  }

  /**
   * Bytes that a tensor of this fixed-size type and concrete shape takes.
   *
   * @throws InferenceException INVALID_ARGUMENT if that is beyond a long
   */
  public static long byteSize(DataType dataType, Shape shape) {
    if (!dataType.isFixedSize()) {
      throw new IllegalArgumentException("the size of " + dataType + " depends on its elements");
    }
    try {
      return Math.multiplyExact(shape.elementCount(), dataType.byteSize());
    } catch (ArithmeticException e) {
      throw InferenceException.invalidArgument(
          "shape %s of %s has more bytes than can be addressed".formatted(shape, dataType));
    }
  }

  /**
   * Number of length-prefixed elements in the remaining bytes, or -1 if the lengths do not add up
   * to them.
   */
  public static long countElements(ByteBuffer bytes) {
    ByteBuffer data = bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    int position = data.position();
    int limit = data.limit();
    long count = 0;
    while (position < limit) {
      if (limit - position < 4) {
        return -1;
      }
      long length = Integer.toUnsignedLong(data.getInt(position));
      if (length > limit - position - 4) {
        return -1;
      }
      position += 4 + (int) length;
      count++;
    }
    return count;
  }

  public DataType dataType() {
    return dataType;
  }

  public Shape shape() {
    return shape;
  }

  /** Number of elements. */
  public long elementCount() {
    return shape.elementCount();
  }

  /** Bytes of the contents. */
  public int byteSize() {
    return data.remaining();
  }

  /**
   * The contents: a direct little-endian view with a position of its own, valid until the tensor is
   * closed. To be read only.
   *
   * @throws IllegalStateException if the tensor is closed
   */
  public ByteBuffer data() {
    requireOpen();
    return data.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The values of an FP32 tensor. */
  public float[] toFloats() {
    float[] values = new float[length(DataType.FP32)];
    data().asFloatBuffer().get(values);
    return values;
  }

  /** The values of an FP64 tensor. */
  public double[] toDoubles() {
    double[] values = new double[length(DataType.FP64)];
    data().asDoubleBuffer().get(values);
    return values;
  }

  /** The values of an INT32 or UINT32 tensor. */
  public int[] toInts() {
    int[] values = new int[length(DataType.INT32, DataType.UINT32)];
    data().asIntBuffer().get(values);
    return values;
  }

  /** The values of an INT64 or UINT64 tensor. */
  public long[] toLongs() {
    long[] values = new long[length(DataType.INT64, DataType.UINT64)];
    data().asLongBuffer().get(values);
    return values;
  }

  /** The elements of a BYTES tensor. */
  public List<byte[]> toBytes() {
    return elements((buffer, length) -> {
      byte[] element = new byte[length];
      buffer.get(element);
      return element;
    });
  }

  /** The elements of a BYTES tensor as texts in UTF-8. */
  public List<String> toStrings() {
    return elements((buffer, length) -> {
      byte[] element = new byte[length];
      buffer.get(element);
      return new String(element, UTF_8);
    });
  }

  private <T> List<T> elements(BiFunction<ByteBuffer, Integer, T> read) {
    List<T> elements = new ArrayList<>(length(DataType.BYTES));
    ByteBuffer buffer = data();
    while (buffer.hasRemaining()) {
      elements.add(read.apply(buffer, buffer.getInt()));
    }
    return elements;
  }

  private int length(DataType... expected) {
    if (!List.of(expected).contains(dataType)) {
      throw new IllegalStateException(
          "the tensor holds %s, not %s".formatted(dataType, List.of(expected)));
    }
    return Math.toIntExact(elementCount());
  }

  /** Whether {@link #close} was called. */
  public boolean isClosed() {
    return closed;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the tensor " + this + " is closed");
    }
  }

  /** Gives the memory back; a second call does nothing. */
  @Override
  public void close() {
    if (owner == null) {
      closed = true;
    } else if (CLOSED.compareAndSet(this, false, true)) {
      TensorTracking.closed(this);
      try {
        owner.close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException("releasing a tensor failed", e);
      }
    }
  }

  /** Datatype and shape, as in {@code FP32[1,4]}; no values. */
  @Override
  public String toString() {
    return dataType + shape.toString();
  }
}
