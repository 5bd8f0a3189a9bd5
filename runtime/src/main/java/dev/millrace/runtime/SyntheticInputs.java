package dev.millrace.runtime;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Inputs made up from what a model declares, to run it before anybody asks for anything.
 *
 * <p>Row <i>i</i> has the same values in every batch, and others than the rows beside it. Floating
 * point is spread over [-1, 1), which no layer turns into infinities; whole numbers are 0 and 1,
 * because they may be indices into something small; texts are {@code 0} and {@code 1}, which also
 * read as numbers. Inputs that may be left out are. Immutable.
 */
final class SyntheticInputs {
  private static final long MAX_INPUT_BYTES = 1 << 28;

  /** Of the texts of {@link #withWords}. */
  private static final int MAX_WORDS = 3;

  private final List<TensorSpec> specs = new ArrayList<>();
  private final int maxWords;
  private final int innerSize;
  private final boolean batches;

  /**
   * Inputs for a model.
   *
   * @param innerSize what stands for a size that may be any, other than the number of rows
   */
  SyntheticInputs(ModelMetadata metadata, int innerSize) {
    this.innerSize = innerSize;
    this.maxWords = 1;
    boolean rowsFirst = metadata.isBatchable();
    for (TensorSpec spec : metadata.inputs()) {
      if (!spec.optional()) {
        specs.add(spec);
        rowsFirst &= spec.shape().rank() > 0 && spec.shape().dim(0) == Shape.ANY;
      }
    }
    this.batches = rowsFirst && !specs.isEmpty();
  }

  private SyntheticInputs(SyntheticInputs others) {
    this.specs.addAll(others.specs);
    this.innerSize = others.innerSize;
    this.batches = others.batches;
    this.maxWords = MAX_WORDS;
  }

  /** The same inputs, but the texts of a row have one word, those of the next two, then three. */
  SyntheticInputs withWords() {
    return new SyntheticInputs(this);
  }

  /** Whether an input is of texts. */
  boolean hasTexts() {
    return specs.stream().anyMatch(spec -> spec.dataType() == DataType.BYTES);
  }

  /** Whether inputs of any number of rows can be made. */
  boolean canBatch() {
    return batches;
  }

  /** Whether a size other than the number of rows may be any. */
  boolean hasInnerSize() {
    for (TensorSpec spec : specs) {
      for (int i = 1; i < spec.shape().rank(); i++) {
        if (spec.shape().dim(i) == Shape.ANY) {
          return true;
        }
      }
    }
    return false;
  }

  /** Elements of all inputs of one row. */
  long rowElements() {
    long sum = 0;
    for (TensorSpec spec : specs) {
      sum += shape(spec, 1).elementCount();
    }
    return sum;
  }

  /** Bytes of the inputs of that many rows. */
  long byteSize(int rows) {
    long sum = 0;
    for (TensorSpec spec : specs) {
      sum += shape(spec, rows).elementCount() * elementSize(spec);
    }
    return sum;
  }

  /**
   * These rows; for a model that does not batch, the whole inputs in the variation {@code rows[0]}.
   *
   * @return inputs that the caller closes
   * @throws InferenceException INVALID_ARGUMENT if they would be too large
   */
  TensorMap rows(int... rows) {
    try (TensorMap.Builder inputs = TensorMap.builder()) {
      for (int i = 0; i < specs.size(); i++) {
        inputs.put(specs.get(i).name(), tensor(i, rows));
      }
      return inputs.build();
    }
  }

  /** As {@link #rows}: the first {@code count} rows. */
  TensorMap firstRows(int count) {
    int[] rows = new int[count];
    for (int i = 0; i < count; i++) {
      rows[i] = i;
    }
    return rows(rows);
  }

  private Tensor tensor(int input, int[] rows) {
    TensorSpec spec = specs.get(input);
    Shape shape = shape(spec, rows.length);
    long elements = shape.elementCount();
    if (elements > MAX_INPUT_BYTES / elementSize(spec)) {
      throw InferenceException.invalidArgument(
          "input '%s' of %s%s is too large to make up"
              .formatted(spec.name(), spec.dataType(), shape));
    }
    int size = (int) elements * elementSize(spec);
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer bytes = buffer.view(size);
      int rowElements = (int) elements / (batches ? rows.length : 1);
      for (int i = 0; i < (batches ? rows.length : 1); i++) {
        fill(bytes, spec.dataType(), input, rows[i], rowElements);
      }
      return Tensor.wrap(spec.dataType(), shape, bytes.flip(), buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  /** A row of one element alternates, longer ones start with 1, so that no mask hides all of it. */
  private void fill(ByteBuffer bytes, DataType type, int input, int row, int elements) {
    SplittableRandom random = new SplittableRandom(31L * row + input);
    for (int i = 0; i < elements; i++) {
      int bit = elements == 1 ? (row + 1) & 1 : i == 0 ? 1 : random.nextInt(2);
      switch (type) {
        case BOOL, UINT8, INT8 -> bytes.put((byte) bit);
        case UINT16, INT16 -> bytes.putShort((short) bit);
        case UINT32, INT32 -> bytes.putInt(bit);
        case UINT64, INT64 -> bytes.putLong(bit);
        case FP16 -> bytes.putShort(Float.floatToFloat16((float) number(random)));
        case BF16 ->
            bytes.putShort((short) (Float.floatToRawIntBits((float) number(random)) >>> 16));
        case FP32 -> bytes.putFloat((float) number(random));
        case FP64 -> bytes.putDouble(number(random));
        case BYTES -> {
          int words = 1 + row % maxWords;
          bytes.putInt(2 * words - 1).put((byte) ('0' + bit));
          for (int word = 1; word < words; word++) {
            bytes.put((byte) ' ').put((byte) '1');
          }
        }
      }
    }
  }

  private static double number(SplittableRandom random) {
    return 2 * random.nextDouble() - 1;
  }

  private Shape shape(TensorSpec spec, int rows) {
    long[] dims = spec.shape().dims();
    for (int i = 0; i < dims.length; i++) {
      if (dims[i] == Shape.ANY) {
        dims[i] = i == 0 ? (batches ? rows : 1) : innerSize;
      }
    }
    return Shape.of(dims);
  }

  /** Of a text the most, with its length in four bytes. */
  private int elementSize(TensorSpec spec) {
    return spec.dataType() == DataType.BYTES ? 4 + 2 * maxWords - 1 : spec.dataType().byteSize();
  }
}
