package dev.millrace.benchmarks.load;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.TensorMap;
import dev.millrace.benchmarks.LoadModel;
import dev.millrace.benchmarks.WireRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes what a load run reads: a repository of the models, and a request to each. */
public final class LoadFiles {
  private LoadFiles() {}

  /**
   * Writes {@code models/NAME/1/model.onnx} and {@code requests/NAME.{json,binary,headers,grpc}},
   * where {@code headers} is what {@code binary} wants as a header.
   *
   * @param args the directory, made if it is not there
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, a directory");
    }
    Path requests = Files.createDirectories(Path.of(args[0], "requests"));
    for (LoadModel model : LoadModel.values()) {
      String name = model.servedName();
      Path version = Files.createDirectories(Path.of(args[0], "models", name, "1"));
      Files.write(version.resolve("model.onnx"), model.file());
      try (TensorMap row = model.row()) {
        Files.write(requests.resolve(name + ".json"), WireRequest.json(row));
        Files.write(requests.resolve(name + ".binary"), WireRequest.binary(row));
        Files.write(requests.resolve(name + ".grpc"), WireRequest.grpc(name, row));
        int headerLength = WireRequest.binaryHeader(row).length;
        Files.write(
            requests.resolve(name + ".headers"),
            ("Inference-Header-Content-Length:" + headerLength).getBytes(UTF_8));
      }
    }
  }
}
