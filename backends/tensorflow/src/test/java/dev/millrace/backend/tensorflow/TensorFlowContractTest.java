package dev.millrace.backend.tensorflow;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.testing.BackendContract;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;

class TensorFlowContractTest extends BackendContract {
  TensorFlowContractTest() {
    super(new TensorFlowBackend(), List.of(DataType.values()));
  }

  @Override
  protected Path writeIdentity(Path empty, DataType type, int rank) {
    long[] dims = LongStream.generate(() -> Shape.ANY).limit(rank).toArray();
    return SavedModels.identity(type, Shape.of(dims)).write(empty);
  }

  @Override
  protected Path writeGarbage(Path empty) throws IOException {
    Files.writeString(empty.resolve(SavedModelDirectory.FILE_NAME), "no model at all");
    return empty;
  }
}
