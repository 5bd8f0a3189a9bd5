package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.millrace.api.DataType;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tensorflow.TensorShapeProto;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.PredictionServiceGrpc;
import dev.millrace.runtime.Backends;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.StringJoiner;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * One request in each of its forms, against an ONNX model that returns what it gets: V2 JSON, V2
 * binary, gRPC typed, gRPC raw, V1 rows and columns, TF Serving's tensors typed and as bytes. Both
 * answers of V2's REST, JSON and binary, are looked at.
 */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class ProtocolsAgreeTest {
  private static final String HEADER_LENGTH = "Inference-Header-Content-Length";
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private static MillraceServer server;
  private static ManagedChannel channel;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    for (DataType type : DataType.values()) {
      Path version = Files.createDirectories(repository.resolve(name(type)).resolve("1"));
      Files.write(version.resolve("model.onnx"), OnnxModels.identity(type, "batch", 3));
    }
    server =
        MillraceServer.start(ServerConfig.of(repository).onFreePorts(), Backends.onClassPath());
    channel = NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
  }

  @AfterAll
  static void stop() {
    channel.shutdownNow();
    server.close();
  }

  private static String name(DataType type) {
    return type.name().toLowerCase(Locale.ROOT);
  }

  /** Six values: as the bytes of a tensor, as JSON, and as typed contents. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Values(byte[] raw, String json, InferTensorContents typed) {
    static Values of(DataType type) {
      ByteBuffer raw = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);
      StringJoiner json = new StringJoiner(",", "[", "]");
      InferTensorContents.Builder typed = InferTensorContents.newBuilder();
      switch (type) {
        case BOOL -> {
          for (boolean value : new boolean[] {true, false, false, true, true, false}) {
            raw.put((byte) (value ? 1 : 0));
            json.add(String.valueOf(value));
            typed.addBoolContents(value);
          }
        }
        case INT8 -> {
          for (byte value : new byte[] {0, 1, -1, 42, Byte.MIN_VALUE, Byte.MAX_VALUE}) {
            raw.put(value);
            json.add(String.valueOf(value));
            typed.addIntContents(value);
          }
        }
        case INT16 -> {
          for (short value : new short[] {0, 1, -1, 300, Short.MIN_VALUE, Short.MAX_VALUE}) {
            raw.putShort(value);
            json.add(String.valueOf(value));
            typed.addIntContents(value);
          }
        }
        case INT32 -> {
          for (int value : new int[] {0, 1, -1, 70_000, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
            raw.putInt(value);
            json.add(String.valueOf(value));
            typed.addIntContents(value);
          }
        }
        case INT64 -> {
          for (long value : new long[] {0, 1, -1, (1L << 53) + 1, Long.MIN_VALUE, Long.MAX_VALUE}) {
            raw.putLong(value);
            json.add(String.valueOf(value));
            typed.addInt64Contents(value);
          }
        }
        case UINT8 -> {
          for (int value : new int[] {0, 1, 2, 127, 128, 255}) {
            raw.put((byte) value);
            json.add(String.valueOf(value));
            typed.addUintContents(value);
          }
        }
        case UINT16 -> {
          for (int value : new int[] {0, 1, 2, 32_767, 32_768, 65_535}) {
            raw.putShort((short) value);
            json.add(String.valueOf(value));
            typed.addUintContents(value);
          }
        }
        case UINT32 -> {
          for (int value : new int[] {0, 1, 2, Integer.MAX_VALUE, Integer.MIN_VALUE, -1}) {
            raw.putInt(value);
            json.add(Integer.toUnsignedString(value));
            typed.addUintContents(value);
          }
        }
        case UINT64 -> {
          for (long value : new long[] {0, 1, 2, Long.MAX_VALUE, Long.MIN_VALUE, -1}) {
            raw.putLong(value);
            json.add(Long.toUnsignedString(value));
            typed.addUint64Contents(value);
          }
        }
        case FP16, BF16 -> {
          for (int bits : new int[] {0x0000, 0x3c00, 0xbc00, 0x7c00, 0x3f80, 0x0001}) {
            raw.putShort((short) bits);
          }
        }
        case FP32 -> {
          for (float value :
              new float[] {
                0.1f, -0f, Float.NaN, Float.NEGATIVE_INFINITY, Float.MIN_VALUE, Float.MAX_VALUE
              }) {
            raw.putFloat(value);
            json.add(String.valueOf(value));
            typed.addFp32Contents(value);
          }
        }
        case FP64 -> {
          for (double value :
              new double[] {0.1, -0.0, Double.NaN, Double.POSITIVE_INFINITY, 4.9e-324, 1.7e308}) {
            raw.putDouble(value);
            json.add(String.valueOf(value));
            typed.addFp64Contents(value);
          }
        }
        case BYTES -> {
          for (String value : new String[] {"", "a", "né", "\\\"\t", "\uD83D\uDE00", "12"}) {
            byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
            raw.putInt(bytes.length).put(bytes);
            json.add(
                '"' + value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\t", "\\t") + '"');
            typed.addBytesContents(ByteString.copyFrom(bytes));
          }
        }
      }
      return new Values(Arrays.copyOf(raw.array(), raw.position()), json.toString(), typed.build());
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void binaryAndRaw_giveBackTheBytes(DataType type) throws Exception {
    Values values = Values.of(type);

    assertThat(binaryOutput(post(type, binaryRequest(type, values, true)))).isEqualTo(values.raw);
    assertThat(rawOutput(grpc(type, values, false))).isEqualTo(values.raw);
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FP16", "BF16"})
  void jsonAndTyped_giveBackTheSameBytesAsBinaryAndRaw(DataType type) throws Exception {
    Values values = Values.of(type);

    assertThat(binaryOutput(post(type, jsonRequest(type, values, true)))).isEqualTo(values.raw);
    ModelInferResponse typed = grpc(type, values, true);
    assertThat(rawOutput(typed)).isEqualTo(values.raw);
    assertThat(typed.getOutputs(0).getContents()).isEqualTo(values.typed);
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FP16", "BF16"})
  void jsonOutput_isTheSameHoweverTheInputCame(DataType type) throws Exception {
    Values values = Values.of(type);

    String fromJson = data(post(type, jsonRequest(type, values, false)));
    assertThat(data(post(type, binaryRequest(type, values, false)))).isEqualTo(fromJson);
    // What was written is read as what it was written from.
    Values again = new Values(values.raw, fromJson, values.typed);
    assertThat(binaryOutput(post(type, jsonRequest(type, again, true)))).isEqualTo(values.raw);
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FP16", "BF16"})
  void v1_givesTheTensorThatV2Gives(DataType type) throws Exception {
    Values values = Values.of(type);
    String rows = nested(values.json);

    String columns = v1(type, "{\"inputs\":%s}".formatted(rows), "outputs");
    assertThat(v1(type, "{\"inputs\":{\"INPUT0\":%s}}".formatted(rows), "outputs"))
        .isEqualTo(columns);
    assertThat(v1(type, "{\"instances\":%s}".formatted(rows), "predictions")).isEqualTo(columns);

    String flat = columns.replace("],[", ",").replace("[[", "[").replace("]]", "]");
    assertThat(flat).isEqualTo(data(post(type, jsonRequest(type, values, false))));
    Values again = new Values(values.raw, flat, values.typed);
    assertThat(binaryOutput(post(type, jsonRequest(type, again, true)))).isEqualTo(values.raw);
  }

  /** Two rows of three instead of six in a row. */
  private static String nested(String json) {
    String[] elements = json.substring(1, json.length() - 1).split(",", -1);
    return "[[%s,%s,%s],[%s,%s,%s]]".formatted((Object[]) elements);
  }

  private static String v1(DataType type, String request, String member) throws Exception {
    HttpRequest predict =
        HttpRequest.newBuilder(
                URI.create(
                    "http://localhost:%d/v1/models/%s:predict"
                        .formatted(server.port(), name(type))))
            .version(HttpClient.Version.HTTP_1_1)
            .POST(BodyPublishers.ofString(request))
            .build();
    HttpResponse<byte[]> response = HTTP.send(predict, BodyHandlers.ofByteArray());
    String text = text(response);
    assertThat(response.statusCode()).as(text).isEqualTo(200);
    assertThat(text).startsWith("{\"" + member + "\":");
    return text.substring(member.length() + 4, text.length() - 1);
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void tensorFlowServing_givesTheTensorThatV2Gives(DataType type) {
    Values values = Values.of(type);
    TensorProto typed = tensorProto(type, values);

    assertThat(tensorFlowServing(type, typed)).isEqualTo(typed);
    if (type != DataType.BYTES) {
      TensorProto content =
          TensorProto.newBuilder()
              .setDtype(typed.getDtype())
              .setTensorShape(typed.getTensorShape())
              .setTensorContent(ByteString.copyFrom(values.raw))
              .build();
      assertThat(tensorFlowServing(type, content)).isEqualTo(typed);
    }
  }

  private static TensorProto tensorFlowServing(DataType type, TensorProto input) {
    PredictRequest request =
        PredictRequest.newBuilder()
            .setModelSpec(ModelSpec.newBuilder().setName(name(type)))
            .putInputs("INPUT0", input)
            .build();
    return PredictionServiceGrpc.newBlockingStub(channel)
        .predict(request)
        .getOutputsOrThrow("OUTPUT0");
  }

  private static TensorProto tensorProto(DataType type, Values values) {
    TensorProto.Builder tensor = TensorProto.newBuilder();
    tensor.setTensorShape(
        TensorShapeProto.newBuilder()
            .addDim(TensorShapeProto.Dim.newBuilder().setSize(2))
            .addDim(TensorShapeProto.Dim.newBuilder().setSize(3)));
    InferTensorContents contents = values.typed;
    tensor
        .addAllBoolVal(contents.getBoolContentsList())
        .addAllInt64Val(contents.getInt64ContentsList())
        .addAllUint64Val(contents.getUint64ContentsList())
        .addAllFloatVal(contents.getFp32ContentsList())
        .addAllDoubleVal(contents.getFp64ContentsList())
        .addAllStringVal(contents.getBytesContentsList())
        .addAllIntVal(contents.getIntContentsList());
    if (type == DataType.UINT32) {
      tensor.addAllUint32Val(contents.getUintContentsList());
    } else {
      tensor.addAllIntVal(contents.getUintContentsList());
    }
    if (type == DataType.FP16 || type == DataType.BF16) {
      ByteBuffer raw = ByteBuffer.wrap(values.raw).order(ByteOrder.LITTLE_ENDIAN);
      while (raw.hasRemaining()) {
        tensor.addHalfVal(Short.toUnsignedInt(raw.getShort()));
      }
    }
    return tensor.setDtype(tensorFlowType(type)).build();
  }

  private static dev.millrace.proto.tensorflow.DataType tensorFlowType(DataType type) {
    return dev.millrace.proto.tensorflow.DataType.valueOf(
        switch (type) {
          case FP16 -> "DT_HALF";
          case BF16 -> "DT_BFLOAT16";
          case FP32 -> "DT_FLOAT";
          case FP64 -> "DT_DOUBLE";
          case BYTES -> "DT_STRING";
          case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64 ->
              "DT_" + type.name();
        });
  }

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Body(byte[] bytes, int headerLength) {}

  private static Body jsonRequest(DataType type, Values values, boolean binaryOutput) {
    String json =
        """
        {"parameters":{"binary_data_output":%s},"inputs":[{"name":"INPUT0","datatype":"%s",\
        "shape":[2,3],"data":%s}]}\
        """
            .formatted(binaryOutput, type, values.json);
    return new Body(json.getBytes(StandardCharsets.UTF_8), -1);
  }

  private static Body binaryRequest(DataType type, Values values, boolean binaryOutput) {
    byte[] header =
        """
        {"parameters":{"binary_data_output":%s},"inputs":[{"name":"INPUT0","datatype":"%s",\
        "shape":[2,3],"parameters":{"binary_data_size":%d}}]}\
        """
            .formatted(binaryOutput, type, values.raw.length)
            .getBytes(StandardCharsets.UTF_8);
    byte[] body = Arrays.copyOf(header, header.length + values.raw.length);
    System.arraycopy(values.raw, 0, body, header.length, values.raw.length);
    return new Body(body, header.length);
  }

  private static HttpResponse<byte[]> post(DataType type, Body body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(
                URI.create(
                    "http://localhost:%d/v2/models/%s/infer".formatted(server.port(), name(type))))
            .version(HttpClient.Version.HTTP_1_1)
            .POST(BodyPublishers.ofByteArray(body.bytes));
    if (body.headerLength >= 0) {
      request.header(HEADER_LENGTH, String.valueOf(body.headerLength));
    }
    HttpResponse<byte[]> response = HTTP.send(request.build(), BodyHandlers.ofByteArray());
    assertThat(response.statusCode()).as(text(response)).isEqualTo(200);
    return response;
  }

  private static String text(HttpResponse<byte[]> response) {
    return new String(response.body(), StandardCharsets.UTF_8);
  }

  private static byte[] binaryOutput(HttpResponse<byte[]> response) {
    int header = Integer.parseInt(response.headers().firstValue(HEADER_LENGTH).orElseThrow());
    return Arrays.copyOfRange(response.body(), header, response.body().length);
  }

  private static String data(HttpResponse<byte[]> response) {
    assertThat(response.headers().firstValue(HEADER_LENGTH)).isEmpty();
    String json = text(response);
    return json.substring(
        json.indexOf("\"data\":") + 7, json.lastIndexOf(']', json.length() - 3) + 1);
  }

  private static ModelInferResponse grpc(DataType type, Values values, boolean typed) {
    InferInputTensor.Builder input =
        InferInputTensor.newBuilder()
            .setName("INPUT0")
            .setDatatype(type.name())
            .addShape(2)
            .addShape(3);
    ModelInferRequest.Builder request = ModelInferRequest.newBuilder().setModelName(name(type));
    if (typed) {
      input.setContents(values.typed);
    } else {
      request.addRawInputContents(ByteString.copyFrom(values.raw));
    }
    return GRPCInferenceServiceGrpc.newBlockingStub(channel)
        .modelInfer(request.addInputs(input).build());
  }

  private static byte[] rawOutput(ModelInferResponse response) {
    return response.getRawOutputContents(0).toByteArray();
  }
}
