package dev.millrace.server.cloud;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.runtime.LoadListener;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class CloudRoutesTest {
  private static final String V2 =
      "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}";

  @TempDir private Path repository;

  private MillraceServer bind(CloudConfig cloud, String... models) throws IOException {
    TestBackend.repository(repository, models);
    return MillraceServer.bind(
        ServerConfig.of(repository)
            .onFreePorts()
            .withStopTimes(Duration.ZERO, Duration.ofSeconds(10))
            .withCloud(cloud),
        List.of(new TestBackend()));
  }

  private MillraceServer start(CloudConfig cloud, String... models) throws IOException {
    MillraceServer server = bind(cloud, models);
    server.load(LoadListener.NONE);
    return server;
  }

  private static CloudConfig defaultModel(String name) {
    return new CloudConfig(Optional.of(name), Optional.empty(), Optional.empty());
  }

  private static Response get(MillraceServer server, String path) throws IOException {
    try (RawClient client = new RawClient(server.port())) {
      return client.get(path).read();
    }
  }

  private static Response post(MillraceServer server, String path, String body, String... headers)
      throws IOException {
    try (RawClient client = new RawClient(server.port())) {
      return client.post(path, body, headers).read();
    }
  }

  @Test
  void ping_isWellOnceTheModelsAreThere() throws IOException {
    try (MillraceServer server = bind(CloudConfig.none(), "identity_fp32")) {
      assertThat(get(server, "/ping").status()).isEqualTo(503);

      server.load(LoadListener.NONE);

      Response well = get(server, "/ping");
      assertThat(well.status()).isEqualTo(200);
      assertThat(well.body()).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'instances':[[1,2],[3,4]]} | {'predictions':[[1.0,2.0],[3.0,4.0]]}",
        "{'inputs':[[1,2]]} | {'outputs':[[1.0,2.0]]}",
        "{'inputs':{'INPUT0':[[1,2]]}} | {'outputs':[[1.0,2.0]]}",
      })
  void invocations_takeV1(String body, String answer) throws IOException {
    try (MillraceServer server = start(CloudConfig.none(), "identity_fp32")) {
      Response response = post(server, "/invocations", body.replace('\'', '"'));

      assertThat(response.body()).isEqualTo(answer.replace('\'', '"'));
      assertThat(response.status()).isEqualTo(200);
    }
  }

  @Test
  void invocations_takeV2_alsoWithBinaryTensors() throws IOException {
    try (MillraceServer server = start(defaultModel("identity_fp32"), "identity_fp32", "simple")) {
      assertThat(post(server, "/invocations", V2).body()).contains("\"data\":[1.0,2.0]");

      String json =
          "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,1],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":4}}],\"parameters\":{\"binary_data_output\":true}}";
      String tensor = "abcd";
      Response sageMaker =
          post(
              server,
              "/invocations",
              json + tensor,
              "Content-Type: application/vnd.sagemaker-triton.binary+json;json-header-size="
                  + json.length());
      assertThat(sageMaker.status()).as(sageMaker.body()).isEqualTo(200);
      String type = sageMaker.header("content-type");
      assertThat(type).startsWith("application/vnd.sagemaker-triton.binary+json;json-header-size=");
      int length = Integer.parseInt(type.substring(type.indexOf('=') + 1));
      assertThat(new String(sageMaker.bytes(), length, sageMaker.bytes().length - length, UTF_8))
          .isEqualTo(tensor);

      Response vertex =
          post(
              server,
              "/invocations",
              json + tensor,
              "Content-Type: application/vnd.vertex-ai-triton.binary+json; json-header-size="
                  + json.length());
      assertThat(vertex.header("content-type")).isEqualTo("application/octet-stream");
      assertThat(vertex.header("inference-header-content-length"))
          .isEqualTo(String.valueOf(length));

      Response wrong =
          post(
              server,
              "/invocations",
              json,
              "Content-Type: application/vnd.sagemaker-triton.binary+json;json-header-size=x");
      assertThat(wrong.status()).isEqualTo(400);
      assertThat(wrong.body()).contains("inference header size should be in range");
    }
  }

  @Test
  void modelThatNobodyNamed_isRefused() throws IOException {
    try (MillraceServer server = start(CloudConfig.none(), "identity_fp32", "simple")) {
      Response response = post(server, "/invocations", V2);
      assertThat(response.status()).isEqualTo(400);
      assertThat(response.body())
          .contains("there are 2 models, and default-model says none of them");
    }
    try (MillraceServer server = start(defaultModel("nobody"), "simple")) {
      assertThat(post(server, "/invocations", V2).status()).isEqualTo(404);
      Response malformed = post(server, "/invocations", "{");
      assertThat(malformed.status()).isEqualTo(404);
    }
  }

  @Test
  void bodyThatIsNothing_isRefused() throws IOException {
    try (MillraceServer server = start(CloudConfig.none(), "identity_fp32")) {
      for (String body : new String[] {"", "{", "[]", "{}", "{\"inputs\":", "\u0001"}) {
        assertThat(post(server, "/invocations", body).status()).as(body).isEqualTo(400);
      }
    }
  }

  @Test
  void routesOfTheCloudsChoice_areAnswered() throws IOException {
    CloudConfig vertex =
        new CloudConfig(
            Optional.empty(),
            Optional.of("/v1/endpoints/1/deployedModels/2"),
            Optional.of("/v1/endpoints/1/deployedModels/2:predict"));
    try (MillraceServer server = start(vertex, "identity_fp32")) {
      assertThat(get(server, "/v1/endpoints/1/deployedModels/2").status()).isEqualTo(200);
      assertThat(
              post(
                      server,
                      "/v1/endpoints/1/deployedModels/2:predict",
                      "{\"instances\":[[1]],\"parameters\":{\"a\":1}}")
                  .body())
          .isEqualTo("{\"predictions\":[[1.0]]}");
    }
  }

  @Test
  void predict_takesV2_andTheDefaultModel_onlyIfTheCloudChoosesIt() throws IOException {
    CloudConfig vertex =
        new CloudConfig(Optional.of("identity_fp32"), Optional.empty(), Optional.of("/predict"));
    try (MillraceServer server = start(vertex, "identity_fp32", "simple")) {
      assertThat(post(server, "/predict", V2).body()).contains("\"data\":[1.0,2.0]");
      assertThat(post(server, "/predict", "{\"instances\":[[1]]}").body())
          .isEqualTo("{\"predictions\":[[1.0]]}");
    }
    try (MillraceServer server = start(defaultModel("identity_fp32"), "identity_fp32", "simple")) {
      assertThat(post(server, "/predict", V2).status()).isEqualTo(404);
    }
  }

  @Test
  void routesThatAreAnsweredAlready_stayAsTheyAre() throws IOException {
    CloudConfig same =
        new CloudConfig(
            Optional.empty(),
            Optional.of("/v2/health/ready"),
            Optional.of("/v1/models/simple:predict"));
    try (MillraceServer server = start(same, "identity_fp32", "simple")) {
      assertThat(get(server, "/v2/health/ready").body()).isEqualTo("{\"ready\":true}");
      assertThat(post(server, "/v1/models/simple:predict", "{}").status()).isEqualTo(400);
    }
  }
}
