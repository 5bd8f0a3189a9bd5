package dev.millrace.server.v2;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.HttpConfig;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.http.TestServer;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
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
class V2RoutesTest {
  private static final String ROW = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";
  private static final String SIMPLE =
      ("{\"id\":\"42\",\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[%s]},"
              + "{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[[%s]]}]}")
          .formatted(ROW, ROW);

  private static final TestBackend BACKEND = new TestBackend();
  private static ModelServer models;
  private static TestServer server;

  private RawClient client;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException {
    TestBackend.repository(
        directory,
        "simple",
        "gated_simple",
        "echo",
        "wild",
        "broken",
        "a b",
        "identity_fp32",
        "identity_fp16",
        "identity_bytes");
    models =
        ModelServer.create(
            RuntimeConfig.of(directory).withProcessors(2),
            List.of(BACKEND),
            new SimpleMeterRegistry());
    models.models().loadAll(LoadListener.NONE);
    server = new TestServer(HttpConfig.defaults(), new V2Routes(models, "triton", "1.2.3"));
  }

  @AfterAll
  static void stop() {
    server.close();
    models.close();
  }

  @BeforeEach
  void connect() throws IOException {
    client = server.connect();
  }

  @AfterEach
  void disconnect() throws IOException {
    client.close();
  }

  private Response infer(String model, String body, String... headers) throws IOException {
    return client.post("/v2/models/" + model + "/infer", body, headers).read();
  }

  private Response infer(String model, byte[] body, String... headers) throws IOException {
    StringBuilder head =
        new StringBuilder("POST /v2/models/" + model + "/infer HTTP/1.1\r\nHost: h\r\n");
    for (String header : headers) {
      head.append(header).append("\r\n");
    }
    client.send(head + "Content-Length: " + body.length + "\r\n\r\n");
    return client.send(body).read();
  }

  private static void assertJson(Response response, String json) {
    assertThat(response.body()).isEqualTo(json);
    assertThat(response.status()).isEqualTo(200);
    assertThat(response.header("content-type")).isEqualTo("application/json");
    assertThat(response.headers()).doesNotContainKey("inference-header-content-length");
  }

  private static void assertError(Response response, int status, String message) {
    assertThat(response.body()).isEqualTo("{\"error\":\"" + message + "\"}");
    assertThat(response.status()).isEqualTo(status);
    assertThat(response.header("content-type")).isEqualTo("application/json");
  }

  private static byte[] ints(int... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(values);
    return bytes.array();
  }

  private static byte[] concat(byte[]... parts) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    return all.toByteArray();
  }

  private static int[] row() {
    int[] row = new int[16];
    java.util.Arrays.setAll(row, i -> i + 1);
    return row;
  }

  // ---- health and metadata

  @Test
  void health_isJson() throws IOException {
    assertJson(client.get("/v2/health/live").read(), "{\"live\":true}");
    assertJson(client.get("/v2/health/ready").read(), "{\"ready\":true}");
    assertJson(
        client.get("/v2/models/simple/ready").read(), "{\"name\":\"simple\",\"ready\":true}");
    assertJson(
        client.get("/v2/models/simple/versions/1/ready").read(),
        "{\"name\":\"simple\",\"ready\":true}");
  }

  @Test
  void serverMetadata_namesWhatExists() throws IOException {
    String expected =
        "{\"name\":\"triton\",\"version\":\"1.2.3\",\"extensions\":[\"binary_tensor_data\",\"classification\",\"parameters\",\"schedule_policy\",\"model_repository\",\"model_configuration\",\"statistics\",\"logging\"]}";
    assertJson(client.get("/v2").read(), expected);
    assertJson(client.get("/v2/?a=b").read(), expected);
  }

  @Test
  void modelMetadata_hasShapesWithTheBatchDimension() throws IOException {
    String expected =
        "{\"name\":\"simple\",\"versions\":[\"1\"],\"platform\":\"test\","
            + "\"inputs\":[{\"name\":\"INPUT0\",\"datatype\":\"INT32\",\"shape\":[-1,16]},{\"name\":\"INPUT1\",\"datatype\":\"INT32\",\"shape\":[-1,16]}],"
            + "\"outputs\":[{\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[-1,16]},{\"name\":\"OUTPUT1\",\"datatype\":\"INT32\",\"shape\":[-1,16]}]}";
    assertJson(client.get("/v2/models/simple").read(), expected);
    assertJson(client.get("/v2/models/simple/versions/1").read(), expected);
  }

  @Test
  void models_areListed() throws IOException {
    assertThat(client.get("/v2/models").read().body())
        .startsWith("{\"models\":[\"a b\",\"broken\",\"echo\"");
  }

  @Test
  void unknownModel_isNotFound() throws IOException {
    for (String path : new String[] {"", "/ready"}) {
      assertError(
          client.get("/v2/models/nope" + path).read(),
          404,
          "Request for unknown model: 'nope' is not found");
    }
    assertError(infer("nope", SIMPLE), 404, "Request for unknown model: 'nope' is not found");
    assertError(
        infer("simple/versions/9", SIMPLE),
        404,
        "Request for unknown model: 'simple' version 9 is not found");
  }

  // ---- inference

  @Test
  void json_isAnswered() throws IOException {
    String expected =
        "{\"id\":\"42\",\"model_name\":\"simple\",\"model_version\":\"1\",\"outputs\":["
            + "{\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32]},"
            + "{\"name\":\"OUTPUT1\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}]}";
    assertJson(infer("simple", SIMPLE), expected);
    assertJson(infer("simple/versions/1", SIMPLE), expected);
    assertJson(
        infer("simple", SIMPLE, "Content-Type: application/x-www-form-urlencoded"), expected);
  }

  @Test
  void id_isMadeUpIfThereIsNone() throws IOException {
    assertThat(infer("simple", SIMPLE.replace("\"id\":\"42\",", "")).body())
        .matches("\\{\"id\":\"[0-9a-f-]+\",\"model_name.*");
  }

  @Test
  void modelName_isDecoded() throws IOException {
    assertThat(infer("a%20b", "{\"inputs\":[]}").body()).contains("\"model_name\":\"a b\"");
    assertThat(infer("a%2", "{\"inputs\":[]}").status()).isEqualTo(400);
  }

  @Test
  void outputs_areThoseRequested() throws IOException {
    Response response =
        infer("simple", SIMPLE.replace("]}]}", "]}],\"outputs\":[{\"name\":\"OUTPUT1\"}]}"));
    assertThat(response.body()).contains("OUTPUT1").doesNotContain("OUTPUT0");
    assertThat(
            infer("simple", SIMPLE.replace("]}]}", "]}],\"outputs\":[{\"name\":\"x\"}]}")).body())
        .contains("unexpected inference output 'x' for model 'simple'");
  }

  @Test
  void nan_isWrittenBare() throws IOException {
    Response response =
        infer(
            "identity_fp32",
            "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[NaN,-Infinity,Infinity,0.1]}]}");
    assertThat(response.body()).contains("\"data\":[NaN,-Infinity,Infinity,0.1]");
  }

  @Test
  void binary_goesBothWays() throws IOException {
    String json =
        "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"parameters\":{\"binary_data_size\":64}},"
            + "{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[%s]}],\"parameters\":{\"binary_data_output\":true}}"
                .formatted(ROW);
    Response response =
        infer(
            "simple",
            concat(json.getBytes(UTF_8), ints(row())),
            "inference-header-content-length: " + json.length());
    assertThat(response.status()).isEqualTo(200);
    assertThat(response.header("content-type")).isEqualTo("application/octet-stream");
    int header = Integer.parseInt(response.header("inference-header-content-length"));
    assertThat(new String(response.bytes(), 0, header, UTF_8))
        .contains(
            "\"outputs\":[{\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"parameters\":{\"binary_data_size\":64}}");
    byte[] blobs = java.util.Arrays.copyOfRange(response.bytes(), header, response.bytes().length);
    int[] sum = new int[16];
    java.util.Arrays.setAll(sum, i -> 2 * (i + 1));
    assertThat(blobs).isEqualTo(concat(ints(sum), ints(new int[16])));
  }

  @Test
  void binaryOutputs_mixWithJsonOnes() throws IOException {
    Response response =
        infer(
            "simple",
            SIMPLE.replace(
                "]}]}",
                "]}],\"parameters\":{\"binary_data_output\":true},\"outputs\":[{\"name\":\"OUTPUT0\"},{\"name\":\"OUTPUT1\",\"parameters\":{\"binary_data\":true}}]}"));
    int header = Integer.parseInt(response.header("inference-header-content-length"));
    assertThat(new String(response.bytes(), 0, header, UTF_8))
        .contains("\"data\":[2,4,6")
        .contains(
            "{\"name\":\"OUTPUT1\",\"datatype\":\"INT32\",\"shape\":[1,16],\"parameters\":{\"binary_data_size\":64}}");
    assertThat(response.bytes()).hasSize(header + 64);
  }

  @Test
  void binaryOutput_withoutElements_isNoBinary() throws IOException {
    assertJson(
        infer(
            "echo",
            "{\"id\":\"i\",\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"x\",\"shape\":[0],\"datatype\":\"FP32\",\"data\":[]}]}"),
        "{\"id\":\"i\",\"model_name\":\"echo\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[0],\"parameters\":{\"binary_data_size\":0}}]}");
  }

  @Test
  void largeTensors_goBothWays() throws IOException {
    int[] values = new int[500_000];
    java.util.Arrays.setAll(values, i -> i * 31);
    String json =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[500000],\"datatype\":\"INT32\",\"parameters\":{\"binary_data_size\":2000000}},"
            + "{\"name\":\"y\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"a\",\"b\"]}],\"parameters\":{\"binary_data_output\":true}}";
    byte[] body = concat(json.getBytes(UTF_8), ints(values));
    for (int i = 0; i < 3; i++) {
      Response response = infer("echo", body, "Inference-Header-Content-Length: " + json.length());
      int header = Integer.parseInt(response.header("inference-header-content-length"));
      assertThat(java.util.Arrays.copyOfRange(response.bytes(), header, header + 2_000_000))
          .isEqualTo(ints(values));
      assertThat(response.bytes()).hasSize(header + 2_000_000 + 10);
    }
    Response response =
        infer(
            "echo",
            concat(
                json.replace("true", "null").replace("null", "false").getBytes(UTF_8),
                ints(values)),
            "Inference-Header-Content-Length: " + (json.length() + 1));
    assertThat(response.body())
        .contains("\"data\":[0,31,62,")
        .endsWith("\"data\":[\"a\",\"b\"]}]}");
  }

  @Test
  void fp16_isBinaryOnly() throws IOException {
    String json =
        "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,2],\"datatype\":\"FP16\",\"parameters\":{\"binary_data_size\":4}}]}";
    byte[] body = concat(json.getBytes(UTF_8), new byte[] {0, 60, 0, 64});
    assertError(
        infer("identity_fp16", body, "Inference-Header-Content-Length: " + json.length()),
        400,
        "sending FP16 data via JSON is not supported. Please use the binary data format for output 'OUTPUT0'");
    assertThat(
            infer("identity_fp16", new byte[] {0, 60, 0, 64}, "Inference-Header-Content-Length: 0")
                .bytes())
        .endsWith(0, 60, 0, 64);
  }

  @Test
  void rawRequest_isTheOneTensor() throws IOException {
    Response response =
        infer("identity_bytes", "not json é".getBytes(UTF_8), "Inference-Header-Content-Length: 0");
    int header = Integer.parseInt(response.header("inference-header-content-length"));
    assertThat(new String(response.bytes(), 0, header, UTF_8))
        .contains(
            "\"datatype\":\"BYTES\",\"shape\":[1,1],\"parameters\":{\"binary_data_size\":15}");
    assertThat(new String(response.bytes(), header + 4, 11, UTF_8)).isEqualTo("not json é");
    assertThat(infer("identity_fp32", new byte[12], "Inference-Header-Content-Length: 0").body())
        .contains("\"datatype\":\"FP32\",\"shape\":[1,3],");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "simple | 4 | Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'simple' model configuration",
        "wild | 4 | The shape of the raw input 'INPUT0' can not be deduced because there are more than one variable-sized dimension",
        "identity_fp32 | 3 | input byte size mismatch for input 'INPUT0' for model 'identity_fp32'. Expected 0, got 3",
      })
  void rawRequest_thatFitsNoInput_isRefused(String model, int size, String message)
      throws IOException {
    assertError(infer(model, new byte[size], "Inference-Header-Content-Length: 0"), 400, message);
    assertError(
        infer("nope", new byte[size], "Inference-Header-Content-Length: 0"),
        404,
        "Request for unknown model: 'nope' is not found");
  }

  @Test
  void text_thatIsNotUtf8_isBinaryOnly() throws IOException {
    String json =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":5}}]}";
    byte[] body = concat(json.getBytes(UTF_8), new byte[] {1, 0, 0, 0, (byte) 0xff});
    assertError(
        infer("echo", body, "Inference-Header-Content-Length: " + json.length()),
        400,
        "output 'x' holds bytes that are not UTF-8. Please use the binary data format for output 'x'");
  }

  @Test
  void compression_goesBothWays() throws IOException {
    ByteArrayOutputStream gzip = new ByteArrayOutputStream();
    try (var out = new GZIPOutputStream(gzip)) {
      out.write(SIMPLE.getBytes(UTF_8));
    }
    assertThat(infer("simple", gzip.toByteArray(), "Content-Encoding: gzip").body())
        .contains("[2,4,6");
    ByteArrayOutputStream deflate = new ByteArrayOutputStream();
    String json =
        "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"x\",\"shape\":[10000],\"datatype\":\"INT32\",\"parameters\":{\"binary_data_size\":40000}}]}";
    try (var out = new DeflaterOutputStream(deflate)) {
      out.write(json.getBytes(UTF_8));
      out.write(new byte[40_000]);
    }
    Response response =
        infer(
            "echo",
            deflate.toByteArray(),
            "Content-Encoding: deflate",
            "Accept-Encoding: gzip",
            "Inference-Header-Content-Length: " + json.length());
    assertThat(response.header("content-encoding")).isEqualTo("gzip");
    int header = Integer.parseInt(response.header("inference-header-content-length"));
    try (var in = new GZIPInputStream(new ByteArrayInputStream(response.bytes()))) {
      assertThat(in.readAllBytes()).hasSize(header + 40_000);
    }
  }

  @Test
  void failure_isTheModels() throws IOException {
    Response response = infer("broken", "{\"inputs\":[]}");
    assertThat(response.status()).isEqualTo(400);
    assertThat(response.body()).contains("the values are no good");
    assertJson(client.get("/v2/health/live").read(), "{\"live\":true}");
  }

  @Test
  void validation_namesWhatIsWrong() throws IOException {
    assertThat(infer("simple", "{\"inputs\":[]}").body()).contains("expected 2 inputs but got 0");
    assertThat(infer("simple", SIMPLE.replace("[1,16]", "[2,8]")).body())
        .contains(
            "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [2,8]");
    assertThat(infer("simple", SIMPLE.replace("INT32", "UINT32")).body())
        .contains(
            "inference input 'INPUT0' data-type is 'UINT32', but model 'simple' expects 'INT32'");
  }

  @Test
  void disconnect_freesTheRequest() throws IOException {
    try (RawClient first = server.connect();
        RawClient second = server.connect()) {
      // Both instances are busy, so that the third request waits in the queue when its client goes.
      first.post("/v2/models/gated_simple/infer", SIMPLE);
      Await.until("the first runs", () -> BACKEND.gated.get() == 1);
      second.post("/v2/models/gated_simple/infer", SIMPLE);
      Await.until("the second runs", () -> BACKEND.gated.get() == 2);
      try (RawClient gone = server.connect()) {
        gone.post("/v2/models/gated_simple/infer", SIMPLE);
        Await.until("the third waits", () -> models.requestsInFlight() == 3);
      }
      Await.until("the third is dropped", () -> models.requestsInFlight() == 2);
      BACKEND.gate.release(2);
      assertThat(first.read().status()).isEqualTo(200);
      assertThat(second.read().status()).isEqualTo(200);
      assertThat(BACKEND.gated.get()).isEqualTo(2);
    }
  }

  // ---- repository

  @Test
  void repository_loadsAndUnloads() throws IOException {
    assertJson(
        client.post("/v2/repository/models/wild/unload", "").read(),
        "{\"name\":\"wild\",\"unload\":true}");
    assertThat(client.post("/v2/repository/index", "").read().body())
        .contains(
            "{\"name\":\"wild\",\"version\":\"1\",\"state\":\"UNAVAILABLE\",\"reason\":\"unloaded\"}")
        .contains("{\"name\":\"simple\",\"version\":\"1\",\"state\":\"READY\",\"reason\":\"\"}");
    assertThat(client.post("/v2/repository/index", "{\"ready\":true}").read().body())
        .doesNotContain("wild");
    assertThat(client.get("/v2/models/wild/ready").read().status()).isIn(404, 503);
    assertJson(
        client
            .post(
                "/v2/repository/models/wild/load",
                "{\"parameters\":{\"config\":\"{\\\"max_batch_size\\\":\\\"0\\\"}\"}}")
            .read(),
        "{\"name\":\"wild\",\"load\":true}");
    assertThat(client.get("/v2/models/wild/ready").read().status()).isEqualTo(200);
  }

  @Test
  void repository_refusesWhatIsWrong() throws IOException {
    assertError(
        client.post("/v2/repository/index", "{\"ready\":1}").read(),
        400,
        "Invalid value for 'ready': expected a boolean");
    assertError(
        client.post("/v2/repository/mine/index", "").read(),
        501,
        "'repository_name' specification is not supported");
    assertError(
        client.post("/v2/repository/mine/models/m/load", "").read(),
        501,
        "'repository_name' specification is not supported");
    Response response = client.post("/v2/repository/models/nope/load", "{}").read();
    assertThat(response.status()).isEqualTo(404);
    assertThat(response.body())
        .contains("failed to load 'nope', failed to poll from model repository");
    assertThat(client.post("/v2/repository/models/nope/unload", "").read().status()).isEqualTo(404);
    assertThat(
            client
                .post(
                    "/v2/repository/models/wild/load", "{\"parameters\":{\"config\":\"{broken\"}}")
                .read()
                .body())
        .contains("failed to load 'wild', failed to poll from model repository: Invalid config");
  }
}
