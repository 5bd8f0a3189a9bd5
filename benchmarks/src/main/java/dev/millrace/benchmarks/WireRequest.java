package dev.millrace.benchmarks;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.StringJoiner;

/** Requests as a client puts them on the wire, written here so that no code under test does it. */
public final class WireRequest {
  private WireRequest() {}

  /** A V2 REST request in JSON. */
  public static byte[] json(TensorMap inputs) {
    StringJoiner json = new StringJoiner(",", "{\"inputs\":[", "]}");
    inputs.forEach((name, tensor) ->
        json.add(declaration(name, tensor) + ",\"data\":" + values(tensor) + "}"));
    return json.toString().getBytes(UTF_8);
  }

  /** The JSON in front of {@link #binary}: data and outputs are binary. */
  public static byte[] binaryHeader(TensorMap inputs) {
    return binaryHeader(inputs, 0);
  }

  /**
   * As {@link #binaryHeader(TensorMap)}, of a request that is given up after a time.
   *
   * @param timeoutMicros 0 for none
   */
  public static byte[] binaryHeader(TensorMap inputs, long timeoutMicros) {
    String timeout = timeoutMicros == 0 ? "" : ",\"timeout\":" + timeoutMicros;
    StringJoiner json =
        new StringJoiner(
            ",", "{\"inputs\":[", "],\"parameters\":{\"binary_data_output\":true" + timeout + "}}");
    inputs.forEach((name, tensor) ->
        json.add(
            declaration(name, tensor)
                + ",\"parameters\":{\"binary_data_size\":"
                + tensor.byteSize()
                + "}}"));
    return json.toString().getBytes(UTF_8);
  }

  /** A V2 REST request with the binary tensor extension. */
  public static byte[] binary(TensorMap inputs) {
    return binary(inputs, 0);
  }

  /** As {@link #binary(TensorMap)}, with {@link #binaryHeader(TensorMap, long)} in front. */
  public static byte[] binary(TensorMap inputs, long timeoutMicros) {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    body.writeBytes(binaryHeader(inputs, timeoutMicros));
    inputs.forEach((name, tensor) -> body.writeBytes(bytes(tensor)));
    return body.toByteArray();
  }

  /** A ModelInferRequest with raw contents; the numbers are the fields' in the protocol. */
  public static byte[] grpc(String model, TensorMap inputs) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream message = CodedOutputStream.newInstance(bytes);
    message.writeString(1, model);
    for (int i = 0; i < inputs.size(); i++) {
      message.writeByteArray(5, grpcInput(inputs.name(i), inputs.tensor(i)));
    }
    for (int i = 0; i < inputs.size(); i++) {
      message.writeBytes(7, ByteString.copyFrom(bytes(inputs.tensor(i))));
    }
    message.flush();
    return bytes.toByteArray();
  }

  private static byte[] grpcInput(String name, Tensor tensor) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream message = CodedOutputStream.newInstance(bytes);
    message.writeString(1, name);
    message.writeString(2, tensor.dataType().name());
    for (long dim : tensor.shape().dims()) {
      message.writeInt64(3, dim);
    }
    message.flush();
    return bytes.toByteArray();
  }

  private static String declaration(String name, Tensor tensor) {
    return "{\"name\":\"%s\",\"shape\":%s,\"datatype\":\"%s\""
        .formatted(name, compact(Arrays.toString(tensor.shape().dims())), tensor.dataType());
  }

  private static String values(Tensor tensor) {
    return compact(
        switch (tensor.dataType()) {
          case INT32 -> Arrays.toString(tensor.toInts());
          case INT64 -> Arrays.toString(tensor.toLongs());
          case FP32 -> Arrays.toString(tensor.toFloats());
          case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, FP16, BF16, FP64, BYTES ->
              throw new IllegalArgumentException("no load model takes " + tensor.dataType());
        });
  }

  private static String compact(String list) {
    return list.replace(" ", "");
  }

  private static byte[] bytes(Tensor tensor) {
    byte[] bytes = new byte[tensor.byteSize()];
    tensor.data().get(bytes);
    return bytes;
  }
}
