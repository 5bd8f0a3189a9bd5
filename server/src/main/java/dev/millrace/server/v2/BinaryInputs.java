package dev.millrace.server.v2;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;

/** The binary tensors behind the JSON of a request, taken from front to back. */
final class BinaryInputs {
  /** Smallest tensor that shares the body's memory: below it, a copy is cheaper than to hold it. */
  private static final int SHARED_FROM = 16 << 10;

  private final String model;
  private final ByteBuf body;
  private int position;
  private final int end;

  /**
   * Binary tensors.
   *
   * @param start where in the readable bytes of {@code body} they begin
   */
  BinaryInputs(String model, ByteBuf body, int start) {
    this.model = model;
    this.body = body;
    this.position = body.readerIndex() + start;
    this.end = body.writerIndex();
  }

  /** The next tensor; the caller closes it. */
  Tensor next(String input, DataType dataType, Shape shape, long size) {
    int left = end - position;
    if (size > left) {
      throw InferenceException.invalidArgument(
          "unexpected size for input '%s', expecting %d additional bytes for model '%s'"
              .formatted(input, size - left, model));
    }
    ByteBuffer bytes = body.nioBuffer(position, (int) size);
    TensorBytes.check(model, input, dataType, shape, bytes);
    position += (int) size;
    return tensor(dataType, shape, bytes);
  }

  private Tensor tensor(DataType dataType, Shape shape, ByteBuffer bytes) {
    int unit = Math.max(1, dataType.byteSize());
    if (bytes.remaining() < SHARED_FROM
        || !bytes.isDirect()
        || bytes.alignmentOffset(bytes.position(), unit) != 0) {
      return Tensor.copyOf(dataType, shape, bytes);
    }
    ByteBuf held = body.retain();
    try {
      return Tensor.wrap(dataType, shape, bytes, held::release);
    } catch (RuntimeException e) {
      held.release();
      throw e;
    }
  }

  /** Complains of bytes that no input claims. */
  void requireEnd() {
    if (position != end) {
      throw InferenceException.invalidArgument(
          "unexpected additional input data for model '%s'".formatted(model));
    }
  }
}
