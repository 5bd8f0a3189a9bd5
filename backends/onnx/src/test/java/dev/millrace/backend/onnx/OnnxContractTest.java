package dev.millrace.backend.onnx;

import dev.millrace.api.DataType;
import dev.millrace.testing.BackendContract;
import dev.millrace.testing.OnnxModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

class OnnxContractTest extends BackendContract {
  OnnxContractTest() {
    super(new OnnxBackend(), List.of(DataType.values()));
  }

  @Override
  protected Path writeIdentity(Path empty, DataType type, int rank) throws IOException {
    Object[] dims = IntStream.range(0, rank).mapToObj(_ -> -1).toArray();
    Files.write(empty.resolve("model.onnx"), OnnxModels.identity(type, dims));
    return empty;
  }

  @Override
  protected Path writeGarbage(Path empty) throws IOException {
    Files.writeString(empty.resolve("model.onnx"), "no model at all");
    return empty;
  }
}
