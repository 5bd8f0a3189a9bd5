package dev.millrace.logger;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger.InferenceRecord;
import dev.millrace.api.spi.InferenceLogger.Side;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A record on its way to the encoder, with a copy of the tensors of its own: whoever holds it
 * closes it, once.
 *
 * <p>Of the tensors, as many bytes are kept as the settings allow: the first ones, in order, and of
 * the one that does not fit, the first whole elements.
 */
final class CapturedRecord implements AutoCloseable {
  /** Before the names of headers among the parameters. */
  static final String HEADER = "header.";

  static final String TRACEPARENT = HEADER + "traceparent";
  static final String TRACESTATE = HEADER + "tracestate";

  /** What a record takes beside the tensors, about. */
  private static final int OVERHEAD = 512;

  /** Largest copy that is made on the heap: a small one is cheaper there than one from the pool. */
  private static final int HEAP_COPY = 4096;

  private final Side side;
  private final String id;
  private final ModelId model;
  private final Instant time;
  private final Parameters parameters;
  private final @Nullable InferenceException error;
  private final ModelSettings settings;
  private final Layout layout;

  /** What is kept of all tensors, one after the other. */
  private final ByteBuffer kept;

  /** Where each tensor ends in it. */
  private final int[] ends;

  private final long cutBytes;
  private final long cost;
  private final @Nullable PooledBuffer pooled;

  private CapturedRecord(InferenceRecord record, Layout layout, ModelSettings settings) {
    TensorMap tensors = record.tensors();
    int count = tensors.size();
    this.side = record.side();
    this.id = record.id();
    this.model = record.model();
    this.time = record.time();
    this.parameters = record.parameters();
    this.error = record.error();
    this.settings = settings;
    this.cost = cost(record, settings);
    this.layout = layout;
    this.ends = new int[count];
    int size = (int) Math.min(settings.payloadLimit(), tensors.byteSize());
    ByteBuffer copy;
    if (size <= HEAP_COPY) {
      pooled = null;
      copy = ByteBuffer.allocate(size);
    } else {
      pooled = BufferPool.shared().take(size);
      copy = pooled.view(size);
    }
    long cut = 0;
    for (int i = 0; i < count; i++) {
      ByteBuffer data = tensors.tensor(i).data();
      int bytes = wholeElements(layout.dataTypes[i], data, copy.remaining());
      cut += data.remaining() - bytes;
      copy.put(data.limit(bytes));
      ends[i] = copy.position();
    }
    this.kept = copy;
    this.cutBytes = cut;
  }

  /**
   * Copies what a record shows.
   *
   * @param layout of its tensors
   */
  static CapturedRecord of(InferenceRecord record, Layout layout, ModelSettings settings) {
    return new CapturedRecord(record, layout, settings);
  }

  /** As {@link #cost(InferenceRecord, ModelSettings)} said. */
  long cost() {
    return cost;
  }

  /** What a record will count for in a bound on memory, before it is copied. */
  static long cost(InferenceRecord record, ModelSettings settings) {
    return OVERHEAD + Math.min(settings.payloadLimit(), record.tensors().byteSize());
  }

  /** Bytes of the whole elements, from the first on, that fit {@code room}. */
  private static int wholeElements(DataType dataType, ByteBuffer data, int room) {
    if (data.remaining() <= room) {
      return data.remaining();
    }
    if (dataType.isFixedSize()) {
      return room / dataType.byteSize() * dataType.byteSize();
    }
    int end = 0;
    while (end + 4 <= room && end + 4 + data.getInt(end) <= room) {
      end += 4 + data.getInt(end);
    }
    return end;
  }

  Side side() {
    return side;
  }

  String id() {
    return id;
  }

  ModelId model() {
    return model;
  }

  Instant time() {
    return time;
  }

  Parameters parameters() {
    return parameters;
  }

  @Nullable InferenceException error() {
    return error;
  }

  ModelSettings settings() {
    return settings;
  }

  /**
   * The first value of a header of the request; null if it had none, or no headers are known.
   *
   * @param key {@link #HEADER} and its name in lower case
   */
  @Nullable String header(String key) {
    return parameters.asMap().get(key) instanceof String text ? text : null;
  }

  int size() {
    return ends.length;
  }

  String name(int index) {
    return layout.names[index];
  }

  DataType dataType(int index) {
    return layout.dataTypes[index];
  }

  Shape shape(int index) {
    return layout.shapes[index];
  }

  /** What is kept of a tensor: a little-endian view with a position of its own. */
  ByteBuffer data(int index) {
    int start = index == 0 ? 0 : ends[index - 1];
    return kept.slice(start, ends[index] - start).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Elements of a tensor that are kept. */
  long keptElements(int index) {
    DataType dataType = dataType(index);
    ByteBuffer data = data(index);
    return dataType.isFixedSize()
        ? data.remaining() / dataType.byteSize()
        : Tensor.countElements(data);
  }

  /** Bytes of the tensors that are not kept. */
  long cutBytes() {
    return cutBytes;
  }

  /** The code of the protocols over HTTP for how the inference ended; 0 on the inputs' side. */
  int statusCode() {
    InferenceException failure = error;
    if (side == Side.MODEL_INPUTS) {
      return 0;
    }
    if (failure == null) {
      return 200;
    }
    return switch (failure.code()) {
      case INVALID_ARGUMENT, FAILED_PRECONDITION -> 400;
      case NOT_FOUND -> 404;
      case RESOURCE_EXHAUSTED -> 429;
      case DEADLINE_EXCEEDED -> 504;
      case CANCELLED -> 499;
      case UNAVAILABLE -> 503;
      case UNIMPLEMENTED -> 501;
      case INTERNAL -> 500;
    };
  }

  @Override
  public void close() {
    if (pooled != null) {
      pooled.close();
    }
  }

  /**
   * Names, datatypes and shapes of a record's tensors. Records that are alike share one, so that
   * little has to be made for each, and the encoder finds it where it left it. Immutable.
   */
  static final class Layout {
    static final Layout NONE = new Layout(TensorMap.empty());

    private final String[] names;
    private final DataType[] dataTypes;
    private final Shape[] shapes;

    private Layout(TensorMap tensors) {
      int count = tensors.size();
      this.names = new String[count];
      this.dataTypes = new DataType[count];
      this.shapes = new Shape[count];
      for (int i = 0; i < count; i++) {
        names[i] = tensors.name(i);
        dataTypes[i] = tensors.tensor(i).dataType();
        shapes[i] = tensors.tensor(i).shape();
      }
    }

    /** This one if it is that of these tensors, else theirs. */
    Layout of(TensorMap tensors) {
      if (tensors.size() != names.length) {
        return new Layout(tensors);
      }
      for (int i = 0; i < names.length; i++) {
        Tensor tensor = tensors.tensor(i);
        if (dataTypes[i] != tensor.dataType()
            || !names[i].equals(tensors.name(i))
            || !shapes[i].equals(tensor.shape())) {
          return new Layout(tensors);
        }
      }
      return this;
    }
  }
}
