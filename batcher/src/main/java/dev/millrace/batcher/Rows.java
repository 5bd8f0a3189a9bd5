package dev.millrace.batcher;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Concatenates and splits tensors along dimension 0. Stateless.
 *
 * <p>A share of a split is a slice of the batch's output, which stays in memory until the last
 * slice is closed, or a copy: a reader who is slow to close a small share of a large output would
 * keep all of it, so such a share is copied out.
 */
final class Rows {
  /** Outputs up to this size, in bytes, are always shared as slices. */
  static final int ALWAYS_SLICED = 1 << 16;

  /** A slice keeps at most this many times its own size in memory. */
  static final int LARGEST_PINNED_RATIO = 8;

  private Rows() {}

  /**
   * A batch of the rows of all maps in that order, copied.
   *
   * @param maps at least one; all with the same names, datatypes and inner dimensions; stay the
   *     caller's
   * @throws InferenceException INTERNAL if they do not agree, RESOURCE_EXHAUSTED if there is no
   *     memory
   */
  static TensorMap concat(List<TensorMap> maps) {
    return concat(maps, 0, null);
  }

  /**
   * As {@link #concat(List)}, and then the last row {@code padRows} more times.
   *
   * @param buffers where to put it: it is then valid until they are used again; null for memory of
   *     its own
   */
  static TensorMap concat(List<TensorMap> maps, int padRows, @Nullable BatchBuffers buffers) {
    TensorMap first = maps.getFirst();
    try (TensorMap.Builder batch = TensorMap.builder()) {
      Tensor[] tensors = new Tensor[maps.size()];
      for (int i = 0; i < first.size(); i++) {
        String name = first.name(i);
        for (int m = 0; m < tensors.length; m++) {
          tensors[m] = tensorOf(maps.get(m), i, name, first.tensor(i));
        }
        batch.put(name, concat(tensors, padRows, buffers, i));
      }
      return batch.build();
    }
  }

  private static Tensor tensorOf(TensorMap map, int index, String name, Tensor like) {
    Tensor tensor =
        index < map.size() && map.name(index).equals(name) ? map.tensor(index) : map.get(name);
    if (tensor == null
        || tensor.dataType() != like.dataType()
        || !tensor.shape().sameRows(like.shape())) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "parts of a batch do not fit together: tensor '%s' is %s in one and %s in another"
              .formatted(name, like, tensor == null ? "missing" : tensor));
    }
    return tensor;
  }

  private static Tensor concat(
      Tensor[] tensors, int padRows, @Nullable BatchBuffers buffers, int index) {
    ByteBuffer pad = padRows == 0 ? null : lastRow(tensors[tensors.length - 1]);
    int padBytes = pad == null ? 0 : pad.remaining();
    long rows = padRows;
    long bytes = (long) padRows * padBytes;
    for (Tensor tensor : tensors) {
      rows += tensor.shape().dim(0);
      bytes += tensor.byteSize();
    }
    Shape shape = tensors[0].shape().withDim(0, rows);
    DataType dataType = tensors[0].dataType();
    if (buffers != null) {
      ByteBuffer target = buffers.view(index, bytes);
      fill(target, tensors, pad, padRows);
      return Tensor.wrap(dataType, shape, target);
    }
    PooledBuffer buffer = BufferPool.shared().take(bytes);
    try {
      ByteBuffer target = buffer.view((int) bytes);
      fill(target, tensors, pad, padRows);
      return Tensor.wrap(dataType, shape, target, buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  private static void fill(
      ByteBuffer target, Tensor[] tensors, @Nullable ByteBuffer pad, int padRows) {
    int position = 0;
    for (Tensor tensor : tensors) {
      target.put(position, tensor.data(), 0, tensor.byteSize());
      position += tensor.byteSize();
    }
    for (int i = 0; pad != null && i < padRows; i++) {
      target.put(position, pad, 0, pad.remaining());
      position += pad.remaining();
    }
  }

  private static ByteBuffer lastRow(Tensor tensor) {
    Cursor cursor = new Cursor(tensor);
    int start = cursor.skip(Math.toIntExact(tensor.shape().dim(0)) - 1);
    return tensor.data().slice(start, tensor.byteSize() - start);
  }

  /** Why these outputs cannot be split into {@code rows} rows; null if they can. */
  static @Nullable String whyNotSplittable(TensorMap outputs, int rows) {
    for (int i = 0; i < outputs.size(); i++) {
      Shape shape = outputs.tensor(i).shape();
      if (shape.rank() == 0 || shape.dim(0) != rows) {
        return "output '%s' has shape %s for a batch of %d rows"
            .formatted(outputs.name(i), shape, rows);
      }
    }
    return null;
  }

  /**
   * Each part's share of a batch's outputs, which this takes over.
   *
   * @param rows of each part, in order; what is left of dimension 0 after them is dropped
   */
  static List<TensorMap> split(TensorMap outputs, int[] rows) {
    Tensor[][] shares = new Tensor[rows.length][outputs.size()];
    int done = 0;
    try {
      while (done < outputs.size()) {
        split(outputs.tensor(done), rows, shares, done);
        done++;
      }
    } catch (RuntimeException | Error e) {
      for (Tensor[] share : shares) {
        for (int i = 0; i < done; i++) {
          share[i].close();
        }
      }
      outputs.close();
      throw e;
    }
    List<TensorMap> maps = new ArrayList<>(rows.length);
    for (Tensor[] share : shares) {
      maps.add(outputs.with(share));
    }
    return maps;
  }

  /** Puts each part's share of a tensor, which this takes over, at {@code index} of the part. */
  private static void split(Tensor tensor, int[] rows, Tensor[][] shares, int index) {
    ByteBuffer data = tensor.data();
    Cursor cursor = new Cursor(tensor);
    int done = 0;
    try (SharedTensor shared = new SharedTensor(tensor)) {
      Shape shape = tensor.shape();
      while (done < rows.length) {
        int start = cursor.position();
        int end = cursor.skip(rows[done]);
        data.limit(end).position(start);
        if (shape.dim(0) != rows[done]) {
          shape = shape.withDim(0, rows[done]);
        }
        if (isCopied(end - start, tensor.byteSize())) {
          shares[done][index] = Tensor.copyOf(tensor.dataType(), shape, data);
        } else {
          shares[done][index] = Tensor.wrap(tensor.dataType(), shape, data, shared.retain());
        }
        done++;
      }
    } catch (RuntimeException | Error e) {
      for (int i = 0; i < done; i++) {
        shares[i][index].close();
      }
      throw e;
    }
  }

  static boolean isCopied(int shareBytes, int totalBytes) {
    return totalBytes > ALWAYS_SLICED && (long) shareBytes * LARGEST_PINNED_RATIO < totalBytes;
  }

  /** The bytes {@code [start, end)} of a tensor as one of {@code rows} rows, sharing its memory. */
  static Tensor view(Tensor tensor, int start, int end, int rows) {
    return Tensor.wrap(
        tensor.dataType(),
        tensor.shape().withDim(0, rows),
        tensor.data().slice(start, end - start));
  }

  /** Walks a tensor row by row. */
  static final class Cursor {
    private final ByteBuffer data;
    private final boolean fixedSize;

    /** Bytes of a row, or elements of a row if they differ in size. */
    private final int perRow;

    private int position;

    Cursor(Tensor tensor) {
      long rows = Math.max(1, tensor.shape().dim(0));
      this.data = tensor.data().order(ByteOrder.LITTLE_ENDIAN);
      this.fixedSize = tensor.dataType().isFixedSize();
      this.perRow = (int) ((fixedSize ? tensor.byteSize() : tensor.elementCount()) / rows);
    }

    /** Byte at which the next row starts. */
    int position() {
      return position;
    }

    /** Goes {@code rows} rows on; the new position. */
    int skip(int rows) {
      if (fixedSize) {
        position += perRow * rows;
      } else {
        for (long left = (long) perRow * rows; left > 0; left--) {
          position += 4 + data.getInt(position);
        }
      }
      return position;
    }
  }
}
