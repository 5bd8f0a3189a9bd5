package dev.millrace.runtime;

import dev.millrace.api.BufferPool;
import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.PooledBuffer;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Runs the requests that a {@code config.pbtxt} asks for before a model serves, on every instance.
 * Who writes them down means them, so one that fails fails the load.
 */
final class WarmUpSamples {
  private static final long MAX_BYTES = 1L << 28;
  private static final String DIRECTORY = "warmup";

  private final ModelMetadata metadata;
  private final List<Path> directories;

  /**
   * Samples for a model.
   *
   * @param directories in whose {@code warmup/} files are looked for, in this order
   */
  WarmUpSamples(ModelMetadata metadata, List<Path> directories) {
    this.metadata = metadata;
    this.directories = List.copyOf(directories);
  }

  /**
   * Runs them all; blocks.
   *
   * @throws InferenceException FAILED_PRECONDITION that names the sample and what is wrong
   */
  void run(List<WarmUpSample> samples, List<Predictor> predictors) {
    for (WarmUpSample sample : samples) {
      try (TensorMap inputs = inputs(sample)) {
        new RequestValidator(metadata)
            .validate(
                new InferenceRequest(
                    sample.name(),
                    metadata.id(),
                    inputs,
                    List.of(),
                    Parameters.empty(),
                    Deadline.none()));
        for (Predictor predictor : predictors) {
          for (int i = 0; i < sample.count(); i++) {
            predictor.predict(inputs, List.of()).close();
          }
        }
      } catch (RuntimeException e) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "%s: model_warmup '%s' failed: %s"
                .formatted(sample.place(), sample.name(), InferenceException.of(e).getMessage()),
            e);
      }
    }
  }

  private TensorMap inputs(WarmUpSample sample) {
    try (TensorMap.Builder inputs = TensorMap.builder()) {
      for (WarmUpSample.Input input : sample.inputs()) {
        inputs.put(input.name(), tensor(input, sample.rows()));
      }
      return inputs.build();
    }
  }

  private Tensor tensor(WarmUpSample.Input input, int rows) {
    byte[] row = row(input);
    int copies = Math.max(1, rows);
    long size = (long) row.length * copies;
    if (size > MAX_BYTES) {
      throw InferenceException.invalidArgument("input '%s' is too large".formatted(input.name()));
    }
    PooledBuffer buffer = BufferPool.shared().take(size);
    try {
      ByteBuffer bytes = buffer.view((int) size);
      for (int i = 0; i < copies; i++) {
        bytes.put(row);
      }
      return Tensor.wrap(input.dataType(), shape(input.shape(), rows), bytes.flip(), buffer);
    } catch (RuntimeException e) {
      buffer.close();
      throw e;
    }
  }

  private static Shape shape(Shape row, int rows) {
    if (rows == 0) {
      return row;
    }
    long[] dims = new long[row.rank() + 1];
    dims[0] = rows;
    System.arraycopy(row.dims(), 0, dims, 1, row.rank());
    return Shape.of(dims);
  }

  private byte[] row(WarmUpSample.Input input) {
    return switch (input.values()) {
      case ZERO -> new byte[size(input)];
      case RANDOM -> random(input);
      case FILE -> read(input);
    };
  }

  /** Texts are empty, which is a length of 0 in four bytes. */
  private static int size(WarmUpSample.Input input) {
    int each = input.dataType() == DataType.BYTES ? 4 : input.dataType().byteSize();
    long elements = input.shape().elementCount();
    if (elements > MAX_BYTES / each) {
      throw InferenceException.invalidArgument("input '%s' is too large".formatted(input.name()));
    }
    return (int) elements * each;
  }

  private static byte[] random(WarmUpSample.Input input) {
    SplittableRandom random = new SplittableRandom(1);
    ByteBuffer bytes = ByteBuffer.allocate(size(input)).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    while (bytes.hasRemaining()) {
      switch (input.dataType()) {
        case BOOL -> bytes.put((byte) random.nextInt(2));
        case UINT8, INT8 -> bytes.put((byte) random.nextInt(128));
        case UINT16, INT16 -> bytes.putShort((short) random.nextInt(1 << 15));
        case UINT32, INT32 -> bytes.putInt(random.nextInt() >>> 1);
        case UINT64, INT64 -> bytes.putLong(random.nextLong() >>> 1);
        case FP16 -> bytes.putShort(Float.floatToFloat16((float) random.nextDouble()));
        case BF16 ->
            bytes.putShort((short) (Float.floatToRawIntBits((float) random.nextDouble()) >>> 16));
        case FP32 -> bytes.putFloat((float) random.nextDouble());
        case FP64 -> bytes.putDouble(random.nextDouble());
        case BYTES -> bytes.putInt(0);
      }
    }
    return bytes.array();
  }

  private byte[] read(WarmUpSample.Input input) {
    String name = input.file().orElse("");
    for (Path directory : directories) {
      Path file = directory.resolve(DIRECTORY).resolve(name);
      if (Files.isRegularFile(file)) {
        try {
          if (Files.size(file) > MAX_BYTES) {
            throw InferenceException.invalidArgument(file + " is too large");
          }
          return Files.readAllBytes(file);
        } catch (IOException e) {
          throw new InferenceException(
              ErrorCode.FAILED_PRECONDITION, file + " cannot be read: " + e, e);
        }
      }
    }
    throw InferenceException.invalidArgument(
        "there is no file '%s' in %s/ of %s".formatted(name, DIRECTORY, directories));
  }
}
