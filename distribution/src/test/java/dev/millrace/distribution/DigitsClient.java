package dev.millrace.distribution;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.tensorflow.DataType;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tensorflow.TensorShapeProto;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.PredictionServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Asks a classifier of digits for its logits in every protocol that the server speaks. Thread-safe.
 */
final class DigitsClient implements AutoCloseable {
  private static final String HEADER_LENGTH = "Inference-Header-Content-Length";
  private static final Pattern NUMBER = Pattern.compile("-?\\d+\\.\\d+(?:[eE]-?\\d+)?");
  private static final int PIXELS = 64;

  private final int port;
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final ManagedChannel channel;

  /** A client of the server on that port. */
  DigitsClient(int port) {
    this.port = port;
    this.channel = NettyChannelBuilder.forAddress("localhost", port).usePlaintext().build();
  }

  /** A protocol, and a form of it. */
  enum Protocol {
    V1_ROWS,
    TF_SERVING_REST_COLUMNS,
    TF_SERVING_GRPC,
    TF_SERVING_GRPC_CONTENT,
    V2_JSON,
    V2_BINARY,
    V2_GRPC_TYPED,
    V2_GRPC_RAW
  }

  /** The logits of these rows of pixels, one row after the other. */
  float[] logits(Protocol protocol, String model, float[][] rows) throws Exception {
    return switch (protocol) {
      case V1_ROWS ->
          numbers(
              post("/v1/models/%s:predict".formatted(model), "{\"instances\":" + json(rows) + "}"));
      case TF_SERVING_REST_COLUMNS ->
          numbers(
              post(
                  "/v1/models/%s/versions/1:predict".formatted(model),
                  "{\"signature_name\":\"serving_default\",\"inputs\":{\"pixels\":"
                      + json(rows)
                      + "}}"));
      case TF_SERVING_GRPC -> tfServing(model, tensor(rows, false));
      case TF_SERVING_GRPC_CONTENT -> tfServing(model, tensor(rows, true));
      case V2_JSON -> {
        String body = post("/v2/models/%s/infer".formatted(model), v2(rows, json(rows), false));
        yield numbers(body.substring(body.indexOf("\"data\":")));
      }
      case V2_BINARY -> binary(model, rows);
      case V2_GRPC_TYPED -> v2Grpc(model, rows, true);
      case V2_GRPC_RAW -> v2Grpc(model, rows, false);
    };
  }

  private static String json(float[][] rows) {
    return Arrays.deepToString(rows);
  }

  private static String v2(float[][] rows, String data, boolean binary) {
    return """
    {"inputs":[{"name":"pixels","datatype":"FP32","shape":[%d,%d],%s}],"parameters":{"binary_data_output":%s}}\
    """
        .formatted(
            rows.length,
            PIXELS,
            binary ? "\"parameters\":{\"binary_data_size\":" + data + "}" : "\"data\":" + data,
            binary);
  }

  private static float[] numbers(String json) {
    Matcher matcher = NUMBER.matcher(json);
    List<String> found = matcher.results().map(result -> result.group()).toList();
    float[] numbers = new float[found.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = Float.parseFloat(found.get(i));
    }
    return numbers;
  }

  private String post(String path, String body) throws IOException, InterruptedException {
    return new String(
        send(path, body.getBytes(StandardCharsets.UTF_8), -1).body(), StandardCharsets.UTF_8);
  }

  private HttpResponse<byte[]> send(String path, byte[] body, int headerLength)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("http://localhost:" + port + path))
            .POST(BodyPublishers.ofByteArray(body));
    if (headerLength >= 0) {
      request.header(HEADER_LENGTH, Integer.toString(headerLength));
    }
    HttpResponse<byte[]> response = http.send(request.build(), BodyHandlers.ofByteArray());
    assertThat(response.statusCode())
        .as(new String(response.body(), StandardCharsets.UTF_8))
        .isEqualTo(200);
    return response;
  }

  private static byte[] raw(float[][] rows) {
    ByteBuffer bytes =
        ByteBuffer.allocate(rows.length * PIXELS * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (float[] row : rows) {
      for (float pixel : row) {
        bytes.putFloat(pixel);
      }
    }
    return bytes.array();
  }

  private static float[] floats(byte[] bytes) {
    float[] floats = new float[bytes.length / Float.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
    return floats;
  }

  private float[] binary(String model, float[][] rows) throws IOException, InterruptedException {
    byte[] raw = raw(rows);
    byte[] header = v2(rows, Integer.toString(raw.length), true).getBytes(StandardCharsets.UTF_8);
    byte[] body = Arrays.copyOf(header, header.length + raw.length);
    System.arraycopy(raw, 0, body, header.length, raw.length);
    HttpResponse<byte[]> response =
        send("/v2/models/%s/infer".formatted(model), body, header.length);
    int length = Integer.parseInt(response.headers().firstValue(HEADER_LENGTH).orElseThrow());
    return floats(Arrays.copyOfRange(response.body(), length, response.body().length));
  }

  private static TensorProto tensor(float[][] rows, boolean content) {
    TensorProto.Builder tensor =
        TensorProto.newBuilder()
            .setDtype(DataType.DT_FLOAT)
            .setTensorShape(
                TensorShapeProto.newBuilder()
                    .addDim(TensorShapeProto.Dim.newBuilder().setSize(rows.length))
                    .addDim(TensorShapeProto.Dim.newBuilder().setSize(PIXELS)));
    if (content) {
      return tensor.setTensorContent(ByteString.copyFrom(raw(rows))).build();
    }
    for (float[] row : rows) {
      for (float pixel : row) {
        tensor.addFloatVal(pixel);
      }
    }
    return tensor.build();
  }

  private float[] tfServing(String model, TensorProto pixels) {
    TensorProto logits =
        PredictionServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(60, TimeUnit.SECONDS)
            .predict(
                PredictRequest.newBuilder()
                    .setModelSpec(ModelSpec.newBuilder().setName(model))
                    .putInputs("pixels", pixels)
                    .build())
            .getOutputsOrThrow("logits");
    float[] values = new float[logits.getFloatValCount()];
    for (int i = 0; i < values.length; i++) {
      values[i] = logits.getFloatVal(i);
    }
    return values;
  }

  private float[] v2Grpc(String model, float[][] rows, boolean typed) {
    InferInputTensor.Builder input =
        InferInputTensor.newBuilder()
            .setName("pixels")
            .setDatatype("FP32")
            .addShape(rows.length)
            .addShape(PIXELS);
    ModelInferRequest.Builder request = ModelInferRequest.newBuilder().setModelName(model);
    if (typed) {
      InferTensorContents.Builder contents = InferTensorContents.newBuilder();
      for (float[] row : rows) {
        for (float pixel : row) {
          contents.addFp32Contents(pixel);
        }
      }
      input.setContents(contents);
    } else {
      request.addRawInputContents(ByteString.copyFrom(raw(rows)));
    }
    ModelInferResponse response =
        GRPCInferenceServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(60, TimeUnit.SECONDS)
            .modelInfer(request.addInputs(input).build());
    if (response.getRawOutputContentsCount() > 0) {
      return floats(response.getRawOutputContents(0).toByteArray());
    }
    List<Float> contents = response.getOutputs(0).getContents().getFp32ContentsList();
    float[] values = new float[contents.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = contents.get(i);
    }
    return values;
  }

  @Override
  public void close() {
    http.close();
    channel.shutdownNow();
  }
}
