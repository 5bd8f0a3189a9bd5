package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.CudaSharedMemoryRegisterRequest;
import dev.millrace.proto.inference.CudaSharedMemoryStatusRequest;
import dev.millrace.proto.inference.CudaSharedMemoryUnregisterRequest;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.inference.SystemSharedMemoryRegisterRequest;
import dev.millrace.proto.inference.SystemSharedMemoryStatusRequest;
import dev.millrace.proto.inference.SystemSharedMemoryUnregisterRequest;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.memory.SharedMemory;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class SharedMemoryTest {
  private static final String SYSTEM = "/v2/systemsharedmemory";
  private static final String INFER = "/v2/models/identity_fp32/infer";
  private static final String KEY = "millrace-test-" + UUID.randomUUID();
  private static final Path OBJECT = SharedMemory.OBJECTS.resolve(KEY);

  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    assumeTrue(
        Files.isWritable(SharedMemory.OBJECTS), "this machine has no " + SharedMemory.OBJECTS);
    TestBackend.repository(repository, "identity_fp32", "identity_bytes");
    fixture = new TritonFixture(repository, config -> config.withSharedMemory(true));
  }

  @AfterAll
  static void stop() throws IOException {
    if (fixture != null) {
      fixture.close();
    }
  }

  /** A memory object of 64 bytes: 0, 1, 2 and so on as floats. */
  @BeforeEach
  void create() throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 16; i++) {
      bytes.putFloat(i);
    }
    Files.write(OBJECT, bytes.array());
  }

  @AfterEach
  void remove() throws IOException {
    assertThat(fixture.post(SYSTEM + "/unregister", "").status()).isEqualTo(200);
    Files.deleteIfExists(OBJECT);
  }

  private static Response register(String name, String key, Object offset, Object size)
      throws IOException {
    return fixture.post(
        "%s/region/%s/register".formatted(SYSTEM, name),
        "{'key':'%s','offset':%s,'byte_size':%s}".formatted(key, offset, size));
  }

  private static void registerAll() throws IOException {
    Response response = register("all", "/" + KEY, 0, 64);
    assertThat(response.status()).as(response.body()).isEqualTo(200);
  }

  private static float[] contents() throws IOException {
    float[] values = new float[(int) (Files.size(OBJECT) / 4)];
    ByteBuffer.wrap(Files.readAllBytes(OBJECT))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(values);
    return values;
  }

  @Test
  void regions_areRegisteredToldAndForgotten() throws IOException {
    registerAll();
    assertThat(register("part", KEY, 16, 48).status()).isEqualTo(200);

    String all = "{'name':'all','key':'/%s','offset':0,'byte_size':64}".formatted(KEY);
    String part = "{'name':'part','key':'%s','offset':16,'byte_size':48}".formatted(KEY);
    assertThat(fixture.get(SYSTEM + "/status").body())
        .isEqualTo("[%s,%s]".formatted(all, part).replace('\'', '"'));
    assertThat(fixture.get(SYSTEM + "/region/part/status").body())
        .isEqualTo("[%s]".formatted(part).replace('\'', '"'));
    var grpc =
        fixture
            .stub()
            .systemSharedMemoryStatus(SystemSharedMemoryStatusRequest.getDefaultInstance());
    assertThat(grpc.getRegionsMap()).containsOnlyKeys("all", "part");
    assertThat(grpc.getRegionsOrThrow("part").getOffset()).isEqualTo(16);
    assertThat(grpc.getRegionsOrThrow("part").getByteSize()).isEqualTo(48);
    assertThat(grpc.getRegionsOrThrow("part").getKey()).isEqualTo(KEY);

    assertThat(fixture.post(SYSTEM + "/region/part/unregister", "").status()).isEqualTo(200);
    assertThat(fixture.post(SYSTEM + "/region/part/unregister", "").status()).isEqualTo(200);
    assertThat(fixture.get(SYSTEM + "/region/part/status").status()).isEqualTo(404);
    fixture
        .stub()
        .systemSharedMemoryUnregister(SystemSharedMemoryUnregisterRequest.getDefaultInstance());
    assertThat(fixture.get(SYSTEM + "/status").body()).isEqualTo("[]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "KEY          | 0  | 65 | it has 64 bytes, offset 0 and byte_size 65 go beyond",
        "KEY          | 65 | 0  | it has 64 bytes, offset 65 and byte_size 0 go beyond",
        "KEY          | 9223372036854775807 | 9223372036854775807 | go beyond",
        "KEY          | -1 | 4  | Unable to parse 'offset': it must be a whole number from 0 on",
        "KEY          | 0  | 'x' | Unable to parse 'byte_size': it must be a whole number from 0 on",
        "missing-KEY  | 0  | 4  | it cannot be opened: NoSuchFileException",
        "../etc/passwd | 0 | 4  | a key is one name, with or without a slash before it",
        "/../etc/passwd | 0 | 4 | a key is one name, with or without a slash before it",
        "//etc/passwd | 0  | 4  | a key is one name, with or without a slash before it",
        "..           | 0  | 4  | a key is one name, with or without a slash before it",
        "/            | 0  | 0  | a key is one name, with or without a slash before it",
        "a\\u0000b    | 0  | 0  | a key is one name, with or without a slash before it",
      })
  void regionThatIsNone_isNotRegistered(String key, String offset, String size, String message)
      throws IOException {
    Response response = register("r", key.replace("KEY", KEY), offset, size);

    assertThat(response.status()).as(response.body()).isEqualTo(400);
    assertThat(response.body()).contains(message);
    assertThat(fixture.get(SYSTEM + "/status").body()).isEqualTo("[]");
  }

  @Test
  void linksAndDirectories_areNoObjects(@TempDir Path elsewhere) throws IOException {
    Path secret = Files.write(elsewhere.resolve("secret"), new byte[64]);
    Path link = SharedMemory.OBJECTS.resolve(KEY + "-link");
    Path directory = Files.createDirectory(SharedMemory.OBJECTS.resolve(KEY + "-directory"));
    Files.createSymbolicLink(link, secret);
    try {
      for (Path path : new Path[] {link, directory}) {
        Response response = register("r", path.getFileName().toString(), 0, 4);
        assertThat(response.status()).isEqualTo(400);
        assertThat(response.body()).contains("it is no memory object");
      }
    } finally {
      Files.delete(link);
      Files.delete(directory);
    }
  }

  @Test
  void sameName_isNotRegisteredTwice() throws IOException {
    registerAll();
    Response again = register("all", KEY, 0, 4);

    assertThat(again.status()).isEqualTo(400);
    assertThat(again.body())
        .isEqualTo("{\"error\":\"shared memory region 'all' already in manager\"}");
  }

  @Test
  void tensors_areReadFromAndWrittenToRegions() throws IOException {
    registerAll();
    Response response =
        fixture.post(
            INFER,
            "{'inputs':[{'name':'INPUT0','shape':[1,3],'datatype':'FP32','parameters':{'shared_memory_region':'all','shared_memory_offset':8,'shared_memory_byte_size':12}}],'outputs':[{'name':'OUTPUT0','parameters':{'shared_memory_region':'all','shared_memory_offset':40,'shared_memory_byte_size':20}}]}");

    assertThat(response.status()).as(response.body()).isEqualTo(200);
    assertThat(response.body())
        .contains(
            "'outputs':[{'name':'OUTPUT0','datatype':'FP32','shape':[1,3],'parameters':{'shared_memory_region':'all','shared_memory_offset':40,'shared_memory_byte_size':12}}]"
                .replace('\'', '"'));
    assertThat(Arrays.copyOfRange(contents(), 9, 14)).containsExactly(9, 2, 3, 4, 13);
  }

  @Test
  void tensors_fromARegionAndFromTheBody() throws IOException {
    registerAll();
    Response response =
        fixture.post(
            INFER,
            "{'inputs':[{'name':'INPUT0','shape':[2,2],'datatype':'FP32','parameters':{'shared_memory_region':'all','shared_memory_byte_size':16}}]}");

    assertThat(response.body()).contains("\"data\":[0.0,1.0,2.0,3.0]");
  }

  private static InferParameter number(long value) {
    return InferParameter.newBuilder().setInt64Param(value).build();
  }

  private static InferParameter text(String value) {
    return InferParameter.newBuilder().setStringParam(value).build();
  }

  private static InferInputTensor.Builder sharedInput(String region, long offset, long size) {
    return InferInputTensor.newBuilder()
        .setName("INPUT0")
        .setDatatype("FP32")
        .addShape(1)
        .addShape(2)
        .putParameters("shared_memory_region", text(region))
        .putParameters("shared_memory_offset", number(offset))
        .putParameters("shared_memory_byte_size", number(size));
  }

  private static ModelInferRequest.Builder shared(InferInputTensor.Builder input) {
    return ModelInferRequest.newBuilder().setModelName("identity_fp32").addInputs(input);
  }

  @Test
  void tensors_overGrpc() throws IOException {
    fixture
        .stub()
        .systemSharedMemoryRegister(
            SystemSharedMemoryRegisterRequest.newBuilder()
                .setName("r")
                .setKey("/" + KEY)
                .setOffset(4)
                .setByteSize(60)
                .build());
    ModelInferResponse response =
        fixture
            .stub()
            .modelInfer(
                shared(sharedInput("r", 4, 8))
                    .addOutputs(
                        InferRequestedOutputTensor.newBuilder()
                            .setName("OUTPUT0")
                            .putParameters("shared_memory_region", text("r"))
                            .putParameters("shared_memory_byte_size", number(8)))
                    .build());

    assertThat(response.getRawOutputContentsList()).containsExactly(ByteString.EMPTY);
    assertThat(
            response.getOutputs(0).getParametersOrThrow("shared_memory_byte_size").getInt64Param())
        .isEqualTo(8);
    assertThat(Arrays.copyOf(contents(), 4)).containsExactly(0, 2, 3, 3);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'shared_memory_region':'all','shared_memory_offset':60,'shared_memory_byte_size':8 | Invalid offset + byte size for shared memory region: 'all': offset 60 and byte size 8 go beyond its 64 bytes",
        "'shared_memory_region':'all','shared_memory_offset':9223372036854775807,'shared_memory_byte_size':8 | Invalid offset + byte size for shared memory region: 'all'",
        "'shared_memory_region':'all','shared_memory_byte_size':12 | input byte size mismatch for input 'INPUT0' for model 'identity_fp32'. Expected 8, got 12",
        "'shared_memory_region':'all' | 'shared_memory_byte_size' must be specified along with 'shared_memory_region' for 'INPUT0'",
        "'shared_memory_region':'none','shared_memory_byte_size':8 | Unable to find shared memory region: 'none'",
        "'shared_memory_region':1,'shared_memory_byte_size':8 | Unable to parse 'shared_memory_region': attempt to access JSON non-string as string",
        "'shared_memory_region':'all','shared_memory_byte_size':8,'binary_data_size':8 | Input must set only one of the following fields",
      })
  void inputThatIsNowhere_isRefused(String parameters, String message) throws IOException {
    registerAll();
    Response response =
        fixture.post(
            INFER,
            "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'FP32','parameters':{%s}}]}"
                .formatted(parameters));

    assertThat(response.status()).as(response.body()).isEqualTo(400);
    assertThat(response.body()).contains(message);
  }

  @Test
  void outputThatDoesNotFit_isRefusedAndNothingIsWritten() throws IOException {
    registerAll();
    for (String place :
        new String[] {
          "'shared_memory_region':'all','shared_memory_byte_size':4",
          "'shared_memory_region':'all','shared_memory_offset':60,'shared_memory_byte_size':8",
          "'shared_memory_region':'none','shared_memory_byte_size':8"
        }) {
      Response response =
          fixture.post(
              INFER,
              "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'FP32','data':[7,8]}],'outputs':[{'name':'OUTPUT0','parameters':{%s}}]}"
                  .formatted(place));
      assertThat(response.status()).as(response.body()).isEqualTo(400);
    }
    assertThat(contents()[0]).isZero();
    assertThat(contents()[15]).isEqualTo(15);
  }

  @Test
  void objectThatWasCutShort_failsTheRequestAndNothingElse() throws IOException {
    registerAll();
    try (FileChannel object = FileChannel.open(OBJECT, StandardOpenOption.WRITE)) {
      object.truncate(4);
    }
    Response read =
        fixture.post(
            INFER,
            "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'FP32','parameters':{'shared_memory_region':'all','shared_memory_byte_size':8}}]}");
    assertThat(read.status()).isEqualTo(400);
    assertThat(read.body()).contains("it is shorter than it was when it was registered");
    Response write =
        fixture.post(
            INFER,
            "{'inputs':[{'name':'INPUT0','shape':[1,2],'datatype':'FP32','data':[7,8]}],'outputs':[{'name':'OUTPUT0','parameters':{'shared_memory_region':'all','shared_memory_byte_size':8}}]}");
    assertThat(write.status()).isEqualTo(400);
    assertThat(Files.size(OBJECT)).isEqualTo(4);
  }

  @Test
  void textsInMemory_areChecked() throws IOException {
    registerAll();
    // The second float is 1: its bytes as a length are far beyond the tensor.
    Response response =
        fixture.post(
            "/v2/models/identity_bytes/infer",
            "{'inputs':[{'name':'INPUT0','shape':[1,1],'datatype':'BYTES','parameters':{'shared_memory_region':'all','shared_memory_offset':4,'shared_memory_byte_size':8}}]}");

    assertThat(response.status()).isEqualTo(400);
    assertThat(response.body()).contains("element byte size indicator exceeds the end");
  }

  private static void assertRefused(ModelInferRequest.Builder request, String message) {
    assertThatThrownBy(() -> fixture.stub().modelInfer(request.build()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
              assertThat(e.getStatus().getDescription()).contains(message);
            });
  }

  @Test
  void wrongUse_overGrpc() throws IOException {
    registerAll();
    assertRefused(shared(sharedInput("all", 60, 8)), "Invalid offset + byte size");
    assertRefused(shared(sharedInput("all", -1, 8)), "must not be negative");
    assertRefused(shared(sharedInput("none", 0, 8)), "Unable to find shared memory region: 'none'");
    assertRefused(
        shared(sharedInput("all", 0, 8).putParameters("shared_memory_region", number(1))),
        "invalid value type for 'shared_memory_region' parameter, expected string_param.");
    assertRefused(
        shared(sharedInput("all", 0, 8).putParameters("shared_memory_offset", text("1"))),
        "invalid value type for 'shared_memory_offset' parameter, expected int64_param.");
    assertRefused(
        shared(sharedInput("all", 0, 8)).addRawInputContents(ByteString.copyFromUtf8("x")),
        "expected 0 raw_input_contents, one for each input, but got 1");
    InferInputTensor.Builder both = sharedInput("all", 0, 8);
    both.getContentsBuilder().addFp32Contents(1);
    assertRefused(shared(both), "unexpected 'contents' provided when using shared memory");
  }

  @Test
  void gpuMemory_isNotShared() throws IOException {
    String cuda = "/v2/cudasharedmemory";
    assertThat(fixture.get(cuda + "/status").body()).isEqualTo("[]");
    assertThat(fixture.get(cuda + "/region/x/status").status()).isEqualTo(404);
    assertThat(fixture.post(cuda + "/unregister", "").status()).isEqualTo(200);
    Response response =
        fixture.post(
            cuda + "/region/x/register",
            "{'raw_handle':{'b64':'AAAA'},'device_id':0,'byte_size':4}");
    assertThat(response.status()).isEqualTo(501);
    assertThat(response.body()).contains("CUDA shared memory is not supported");

    fixture
        .stub()
        .cudaSharedMemoryUnregister(CudaSharedMemoryUnregisterRequest.getDefaultInstance());
    assertThat(
            fixture
                .stub()
                .cudaSharedMemoryStatus(CudaSharedMemoryStatusRequest.getDefaultInstance())
                .getRegionsMap())
        .isEmpty();
    assertThatThrownBy(() ->
            fixture
                .stub()
                .cudaSharedMemoryRegister(
                    CudaSharedMemoryRegisterRequest.newBuilder().setName("x").build()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNIMPLEMENTED));
  }

  @Test
  void extension_isListedOnlyWhereItIsOn(@TempDir Path repository) throws IOException {
    assertThat(fixture.get("/v2").body()).contains("system_shared_memory");
    try (TritonFixture off =
        new TritonFixture(TestBackend.repository(repository, "identity_fp32"))) {
      assertThat(off.get("/v2").body()).doesNotContain("system_shared_memory");
      Response response = off.get(SYSTEM + "/status");
      assertThat(response.status()).isEqualTo(501);
      assertThat(response.body()).contains("shared memory is not supported: it is off");
      assertThat(off.post(SYSTEM + "/unregister", "").status()).isEqualTo(501);
    }
  }
}
