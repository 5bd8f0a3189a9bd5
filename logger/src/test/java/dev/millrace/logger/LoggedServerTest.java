package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.LoggerConfig;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The log of a server that clients of every protocol talk to. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(120)
class LoggedServerTest {
  private static final String ONES = "[[" + String.join(",", Collections.nCopies(16, "1")) + "]]";
  private static final String INPUTS =
      ("{\"id\":\"%s\",\"inputs\":[{\"name\":\"INPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":%s},"
          + "{\"name\":\"INPUT1\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":%s}]}");

  @TempDir private Path directory;
  private Path log;
  private MillraceServer server;
  private final HttpClient client = HttpClient.newHttpClient();

  @BeforeEach
  void startServer() throws Exception {
    Path model = directory.resolve("simple/1/model.onnx");
    Files.createDirectories(model.getParent());
    Files.write(model, OnnxModels.simple());
    log = directory.resolve("inference.log");
    server =
        MillraceServer.start(
            ServerConfig.of(directory.resolve("simple"))
                .onFreePorts()
                .withLogger(LoggerConfig.of(Map.of("sink", "file", "file", log.toString()))),
            Plugins.onClassPath());
  }

  @AfterEach
  void stopServer() {
    client.close();
    server.close();
  }

  private HttpResponse<String> call(String method, String path, String body) throws Exception {
    return client.send(
        HttpRequest.newBuilder(URI.create("http://localhost:" + server.port() + path))
            .method(method, HttpRequest.BodyPublishers.ofString(body))
            .build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private HttpResponse<String> infer(String id) throws Exception {
    return call("POST", "/v2/models/simple/infer", INPUTS.formatted(id, ONES, ONES));
  }

  /** The lines of the log, when there are so many. */
  private List<String> lines(int count) throws Exception {
    Await.until(
        count + " lines", () -> Files.exists(log) && Files.readAllLines(log).size() >= count);
    return Files.readAllLines(log);
  }

  @Test
  void everyProtocol_isLogged_bothSides() throws Exception {
    assertThat(infer("rest").statusCode()).isEqualTo(200);
    assertThat(
            call(
                    "POST",
                    "/v1/models/simple:predict",
                    "{\"instances\":[{\"INPUT0\":%s,\"INPUT1\":%s}]}"
                        .formatted(
                            ONES.substring(1, ONES.length() - 1),
                            ONES.substring(1, ONES.length() - 1)))
                .statusCode())
        .isEqualTo(200);
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
    ByteBuffer ones = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 16; i++) {
      ones.putInt(1);
    }
    ByteString raw = ByteString.copyFrom(ones.flip());
    var _ =
        GRPCInferenceServiceGrpc.newBlockingStub(channel)
            .modelInfer(
                ModelInferRequest.newBuilder()
                    .setModelName("simple")
                    .setId("grpc")
                    .addInputs(input("INPUT0"))
                    .addInputs(input("INPUT1"))
                    .addRawInputContents(raw)
                    .addRawInputContents(raw)
                    .build());
    channel.shutdownNow();
    List<String> lines = lines(6);
    assertThat(lines)
        .hasSize(6)
        .allMatch(line -> line.contains("\"model\":\"simple\",\"version\":\"1\""));
    assertThat(lines.get(0))
        .contains("\"id\":\"rest\"")
        .contains("\"side\":\"request\"")
        .contains("INPUT1");
    assertThat(lines.get(1))
        .contains("\"id\":\"rest\"")
        .contains("\"side\":\"response\",\"code\":200")
        .contains("\"name\":\"OUTPUT0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[2,2,");
    assertThat(lines.get(4)).contains("\"id\":\"grpc\"");
    assertThat(lines.get(5)).contains("\"name\":\"OUTPUT1\"").contains("\"data\":[0,0,");
  }

  private static ModelInferRequest.InferInputTensor input(String name) {
    return ModelInferRequest.InferInputTensor.newBuilder()
        .setName(name)
        .setDatatype("INT32")
        .addShape(1)
        .addShape(16)
        .build();
  }

  @Test
  void wrongRequest_isLogged_withItsCode() throws Exception {
    String wrong = INPUTS.formatted("bad", ONES, ONES).replace("INPUT1", "INPUT9");
    assertThat(call("POST", "/v2/models/simple/infer", wrong).statusCode()).isEqualTo(400);
    assertThat(lines(2).get(1)).contains("\"id\":\"bad\"").contains("\"code\":400,\"error\":\"");
  }

  @Test
  void mode_isSwitchedByTheAdminRoute() throws Exception {
    String path = "/admin/models/simple/logger";
    assertThat(call("GET", path, "").body()).contains("\"mode\":\"all\"");
    HttpResponse<String> answer = call("PUT", path, "{\"mode\":\"none\"}");
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).contains("\"mode\":\"none\"");
    infer("unlogged");
    call("PUT", path, "{\"mode\":\"response\",\"sample_rate\":1}");
    infer("logged");
    List<String> lines = lines(1);
    assertThat(lines).hasSize(1);
    assertThat(lines.getFirst()).contains("\"id\":\"logged\"").contains("\"side\":\"response\"");
    assertThat(call("PUT", path, "{\"mode\":\"loud\"}").statusCode()).isEqualTo(400);
    assertThat(call("PUT", path, "{\"mod\":\"all\"}").body()).contains("did you mean 'mode'");
    assertThat(call("GET", "/admin/models/other/logger", "").statusCode()).isEqualTo(404);
    assertThat(call("GET", "/metrics", "").body())
        .contains("millrace_logger_accepted_total{model=\"simple\"} 1.0");
  }

  @Test
  void closing_sendsWhatIsHeld() throws Exception {
    for (int i = 0; i < 100; i++) {
      infer("r" + i);
    }
    server.close();
    assertThat(Files.readAllLines(log, UTF_8)).hasSize(200);
  }
}
