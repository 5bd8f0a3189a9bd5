package dev.millrace.batcher;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * A model whose rows do not depend on each other: returns each input under its name, and as {@code
 * hash}, INT64[rows,1], a number made of all bytes of the row.
 */
final class RowModel implements Predictor {
  @Override
  public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
    List<String> names = requestedOutputs.isEmpty() ? allOutputs(inputs) : requestedOutputs;
    try (TensorMap.Builder outputs = TensorMap.builder()) {
      for (String name : names) {
        Tensor input = inputs.get(name);
        outputs.put(name, input == null ? hash(inputs) : copy(input));
      }
      return outputs.build();
    }
  }

  private static List<String> allOutputs(TensorMap inputs) {
    List<String> names = new java.util.ArrayList<>(inputs.names());
    names.sort(null);
    names.add("hash");
    return names;
  }

  private static Tensor copy(Tensor input) {
    return Tensor.copyOf(input.dataType(), input.shape(), input.data());
  }

  private static Tensor hash(TensorMap inputs) {
    int rows = (int) inputs.tensor(0).shape().dim(0);
    long[] hashes = new long[rows];
    for (int i = 0; i < inputs.size(); i++) {
      Tensor input = inputs.tensor(i);
      // Inputs may come in any order.
      long weight = inputs.name(i).hashCode();
      ByteBuffer data = input.data();
      for (int row = 0; row < rows; row++) {
        int end = data.position() + rowBytes(input, data);
        long hash = 1;
        while (data.position() < end) {
          hash = 31 * hash + data.get();
        }
        hashes[row] += weight * hash;
      }
    }
    return Tensor.copyOf(Shape.of(rows, 1), hashes);
  }

  private static int rowBytes(Tensor input, ByteBuffer data) {
    long rows = input.shape().dim(0);
    if (input.dataType() != DataType.BYTES) {
      return (int) (input.byteSize() / rows);
    }
    ByteBuffer walk = data.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    for (long i = 0; i < input.elementCount() / rows; i++) {
      walk.position(walk.position() + 4 + walk.getInt(walk.position()));
    }
    return walk.position() - data.position();
  }

  @Override
  public void close() {}
}
