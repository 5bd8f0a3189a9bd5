package dev.millrace.server.triton;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelConfigRequest;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.millrace.proto.inference.ModelStatisticsRequest;
import dev.millrace.proto.inference.ModelStreamInferResponse;
import dev.millrace.proto.inference.SystemSharedMemoryRegisterRequest;
import dev.millrace.server.fuzz.Fuzzing;
import dev.millrace.server.fuzz.Mutations;
import dev.millrace.server.fuzz.RawCalls;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Valid messages of V2 and Triton's extensions with a few bytes changed. Whatever a client sends,
 * it gets an answer, which never says that the server is at fault; that nothing is left behind is
 * what the extensions look after.
 */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class V2FuzzTest {
  private static final Set<Status.Code> CLIENTS_FAULT =
      Set.of(
          Status.Code.OK,
          Status.Code.INVALID_ARGUMENT,
          Status.Code.NOT_FOUND,
          Status.Code.FAILED_PRECONDITION);

  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    TestBackend.repository(
        repository, "simple", "echo", "identity_fp32", "identity_bytes", "identity_bool");
    fixture = new TritonFixture(repository, config -> config.withSharedMemory(true));
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  private static byte[] utf8(String json) {
    return json.replace('\'', '"').getBytes(UTF_8);
  }

  private static Response post(RawClient client, String path, byte[] body, String headers)
      throws IOException {
    client.send(
        "POST %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n"
            .formatted(path, headers, body.length));
    return client.send(body).read();
  }

  private static void assertAnswered(String path, byte[] body, Response response) {
    assertThat(response.status())
        .as(() -> "%s %s -> %s".formatted(path, HexFormat.of().formatHex(body), response.body()))
        .isIn(200, 400, 404);
    if (response.status() != 200) {
      assertThat(response.body()).startsWith("{\"error\":\"").endsWith("\"}");
    }
  }

  @Test
  void json_isAnsweredWhateverComes() throws Exception {
    String[][] requests = {
      {"/v2/models/simple/infer", TritonFixture.SIMPLE},
      {
        "/v2/models/identity_fp32/infer",
        "{'id':'i','parameters':{'binary_data_output':true,'priority':2},'inputs':[{'data':[[1.5,NaN],[-3e4,null]],'name':'INPUT0','shape':[2,2],'datatype':'FP32'}]}"
      },
      {
        "/v2/models/identity_fp32/infer",
        "{'inputs':[{'name':'INPUT0','shape':[1,3],'datatype':'FP32','data':[1,2,3]}],'outputs':[{'name':'OUTPUT0','parameters':{'classification':2}}]}"
      },
      {
        "/v2/models/identity_bytes/infer",
        "{'inputs':[{'name':'INPUT0','shape':[3,1],'datatype':'BYTES','data':['','a\\\"\\u00e9','\\ud83d\\ude00']}],'outputs':[{'name':'OUTPUT0','parameters':{'binary_data':true}}]}"
      },
      {
        "/v2/models/identity_bool/infer",
        "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'BOOL','data':[true,false]}]}"
      },
      {
        "/v2/models/echo/infer",
        "{'inputs':[{'name':'a','shape':[],'datatype':'UINT64','data':[18446744073709551615]},{'name':'b','shape':[0],'datatype':'INT8','data':[]}],'x':{'y':[{}]}}"
      },
      {
        "/v2/models/identity_fp32/infer",
        "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'FP32','parameters':{'shared_memory_region':'r','shared_memory_offset':0,'shared_memory_byte_size':8}}]}"
      },
      {"/v2/models/identity_bytes/generate", "{'INPUT0':'text','parameters':{'n':1},'id':'7'}"},
      {"/v2/models/simple/generate_stream", "{'INPUT0':[1,2],'INPUT1':[3,4],'stop':true}"},
      {"/v2/repository/index", "{'ready':true}"},
      {"/v2/systemsharedmemory/region/r/register", "{'key':'/none','offset':0,'byte_size':64}"},
      {"/invocations", "{'inputs':[{'name':'INPUT0','datatype':'FP32'}]}"},
    };
    try (RawClient client = new RawClient(fixture.server.port())) {
      Fuzzing.run(
          "V2 JSON",
          random -> {
            String[] request = requests[random.nextInt(requests.length)];
            byte[] body = Mutations.of(utf8(request[1]), random);
            boolean compressed = random.nextInt(16) == 0;
            if (compressed) {
              body = gzip(body);
              body = random.nextBoolean() ? Mutations.of(body, random) : body;
            }
            assertAnswered(
                request[0],
                body,
                post(client, request[0], body, compressed ? "Content-Encoding: gzip\r\n" : ""));
          });
    }
  }

  private static byte[] gzip(byte[] body) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
      out.write(body);
    }
    return bytes.toByteArray();
  }

  /** JSON and what follows it. */
  private record Binary(String path, String json, ByteString tensors) {
    static Binary of(String model, String json, byte... tensors) {
      return new Binary("/v2/models/%s/infer".formatted(model), json, ByteString.copyFrom(tensors));
    }
  }

  @Test
  void binaryTensors_areAnsweredWhateverComes() throws Exception {
    List<Binary> requests =
        List.of(
            Binary.of(
                "simple",
                "{'inputs':[{'name':'INPUT0','shape':[1,16],'datatype':'INT32','parameters':{'binary_data_size':64}},{'name':'INPUT1','shape':[1,16],'datatype':'INT32','parameters':{'binary_data_size':64}}]}",
                new byte[128]),
            Binary.of(
                "identity_bytes",
                "{'inputs':[{'name':'INPUT0','shape':[2,1],'datatype':'BYTES','parameters':{'binary_data_size':11}}],'parameters':{'binary_data_output':true}}",
                utf8("\2\0\0\0ab\1\0\0\0c")),
            Binary.of(
                "identity_fp32",
                "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'FP32','parameters':{'binary_data_size':8}}]}",
                new byte[8]),
            Binary.of(
                "identity_bool",
                "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'BOOL','parameters':{'binary_data_size':2}}]}",
                new byte[] {1, 0}),
            Binary.of("identity_bytes", "", utf8("raw")));
    try (RawClient client = new RawClient(fixture.server.port())) {
      Fuzzing.run(
          "V2 binary",
          random -> {
            Binary request = requests.get(random.nextInt(requests.size()));
            byte[] json = utf8(request.json());
            byte[] tensors = request.tensors().toByteArray();
            switch (random.nextInt(3)) {
              case 0 -> json = Mutations.of(json, random);
              case 1 -> tensors = Mutations.of(tensors, random);
              default -> {
                json = Mutations.of(json, random);
                tensors = Mutations.of(tensors, random);
              }
            }
            byte[] body = Arrays.copyOf(json, json.length + tensors.length);
            System.arraycopy(tensors, 0, body, json.length, tensors.length);
            int length = json.length + (random.nextInt(8) == 0 ? random.nextInt(9) - 4 : 0);
            assertAnswered(
                request.path(),
                body,
                post(
                    client,
                    request.path(),
                    body,
                    "Inference-Header-Content-Length: " + length + "\r\n"));
          });
    }
  }

  private static List<ModelInferRequest> inferences() {
    InferParameter number = InferParameter.newBuilder().setInt64Param(1).build();
    InferParameter text = InferParameter.newBuilder().setStringParam("r").build();
    return List.of(
        TritonFixture.floats("id", 1, 2, 3, 4)
            .putParameters("priority", number)
            .putParameters("x", text)
            .addOutputs(
                InferRequestedOutputTensor.newBuilder()
                    .setName("OUTPUT0")
                    .putParameters("classification", number))
            .build(),
        ModelInferRequest.newBuilder()
            .setModelName("identity_bytes")
            .setModelVersion("1")
            .addInputs(
                InferInputTensor.newBuilder()
                    .setName("INPUT0")
                    .setDatatype("BYTES")
                    .addShape(1)
                    .addShape(1)
                    .setContents(
                        InferTensorContents.newBuilder()
                            .addBytesContents(ByteString.copyFromUtf8("abc"))))
            .build(),
        ModelInferRequest.newBuilder()
            .setModelName("identity_bytes")
            .addInputs(
                InferInputTensor.newBuilder()
                    .setName("INPUT0")
                    .setDatatype("BYTES")
                    .addShape(1)
                    .addShape(1))
            .addRawInputContents(ByteString.copyFromUtf8("\3\0\0\0abc"))
            .build(),
        ModelInferRequest.newBuilder()
            .setModelName("identity_bool")
            .addInputs(
                InferInputTensor.newBuilder()
                    .setName("INPUT0")
                    .setDatatype("BOOL")
                    .addShape(1)
                    .addShape(2)
                    .setContents(
                        InferTensorContents.newBuilder()
                            .addBoolContents(true)
                            .addBoolContents(false)))
            .build(),
        ModelInferRequest.newBuilder()
            .setModelName("identity_fp32")
            .addInputs(
                InferInputTensor.newBuilder()
                    .setName("INPUT0")
                    .setDatatype("FP32")
                    .addShape(1)
                    .addShape(2)
                    .putParameters("shared_memory_region", text)
                    .putParameters("shared_memory_byte_size", number))
            .build());
  }

  @Test
  void messages_areAnsweredWhateverComes() throws Exception {
    List<ModelInferRequest> inferences = inferences();
    Object[][] others = {
      {"ModelConfig", ModelConfigRequest.newBuilder().setName("simple").setVersion("1").build()},
      {
        "ModelStatistics",
        ModelStatisticsRequest.newBuilder().setName("simple").setVersion("1").build()
      },
      {
        "SystemSharedMemoryRegister",
        SystemSharedMemoryRegisterRequest.newBuilder()
            .setName("r")
            .setKey("/none")
            .setByteSize(64)
            .build()
      },
    };
    Fuzzing.run(
        "V2 gRPC",
        random -> {
          int choice = random.nextInt(inferences.size() + others.length);
          boolean inference = choice < inferences.size();
          Object[] other = inference ? others[0] : others[choice - inferences.size()];
          MessageLite valid = inference ? inferences.get(choice) : (MessageLite) other[1];
          byte[] message = Mutations.of(valid.toByteArray(), random);
          String method = inference ? "ModelInfer" : (String) other[0];
          Status status =
              RawCalls.unary(fixture.channel, "inference.GRPCInferenceService/" + method, message);
          assertThat(status.getCode())
              .as(() -> "%s %s -> %s".formatted(method, HexFormat.of().formatHex(message), status))
              .isIn(CLIENTS_FAULT);
        });
  }

  @Test
  void streams_areAnsweredWhateverComes() throws Exception {
    List<ModelInferRequest> inferences = inferences();
    Fuzzing.run(
        "V2 gRPC streams",
        random -> {
          Responses responses = new Responses();
          StreamObserver<byte[]> stream =
              RawCalls.stream(
                  fixture.channel, "inference.GRPCInferenceService/ModelStreamInfer", responses);
          int count = 1 + random.nextInt(5);
          for (int i = 0; i < count; i++) {
            byte[] valid = inferences.get(random.nextInt(inferences.size())).toByteArray();
            stream.onNext(random.nextBoolean() ? valid : Mutations.of(valid, random));
          }
          stream.onCompleted();
          Status status = responses.ended.get(10, TimeUnit.SECONDS);
          assertThat(status.getCode())
              .as(status::toString)
              .isIn(Status.Code.OK, Status.Code.INVALID_ARGUMENT);
          if (status.isOk()) {
            assertThat(responses.received).hasSize(count);
          }
          for (byte[] response : responses.received) {
            assertThat(ModelStreamInferResponse.parseFrom(response).getErrorMessage())
                .doesNotContain("Exception");
          }
        });
  }

  /** What came over a stream. */
  private static final class Responses implements StreamObserver<byte[]> {
    private final List<byte[]> received = new CopyOnWriteArrayList<>();
    private final CompletableFuture<Status> ended = new CompletableFuture<>();

    @Override
    public void onNext(byte[] response) {
      received.add(response);
    }

    @Override
    public void onError(Throwable failure) {
      ended.complete(Status.fromThrowable(failure));
    }

    @Override
    public void onCompleted() {
      ended.complete(Status.OK);
    }
  }
}
