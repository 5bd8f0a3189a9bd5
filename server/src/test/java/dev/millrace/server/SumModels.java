package dev.millrace.server;

import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Models for {@link SumBackend}, and requests for them. */
final class SumModels {
  /** The numbers 1 to 16 and sixteen 1s. */
  static final String REQUEST =
      """
      {"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[1,16],"data":[%s]},
      {"name":"INPUT1","datatype":"INT32","shape":[1,16],"data":[%s]}]}\
      """
          .formatted(
              Stream.iterate(1, i -> i + 1)
                  .limit(16)
                  .map(String::valueOf)
                  .collect(Collectors.joining(",")),
              String.join(",", Collections.nCopies(16, "1")));

  private SumModels() {}

  /** Sixteen 1s twice, over gRPC. */
  static ModelInferRequest grpcRequest() {
    return ModelInferRequest.newBuilder()
        .setModelName("sum")
        .addInputs(ones("INPUT0"))
        .addInputs(ones("INPUT1"))
        .build();
  }

  private static InferInputTensor ones(String name) {
    return InferInputTensor.newBuilder()
        .setName(name)
        .setDatatype("INT32")
        .addShape(1)
        .addShape(16)
        .setContents(InferTensorContents.newBuilder().addAllIntContents(Collections.nCopies(16, 1)))
        .build();
  }

  /** Writes a model of that name, as the one version in a directory. */
  static Path write(Path repository, String name, String behaviour) throws IOException {
    Path model = repository.resolve(name);
    Files.createDirectories(model.resolve("1"));
    Files.writeString(model.resolve("1").resolve("model.sum"), behaviour);
    return model;
  }
}
