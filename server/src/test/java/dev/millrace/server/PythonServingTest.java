package dev.millrace.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.proto.inference.ModelStreamInferResponse;
import dev.millrace.runtime.Backends;
import dev.millrace.server.RestClient.Answer;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.StreamObserver;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** Scripts as data scientists write them for Hopsworks and KServe, over every protocol. */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
@Timeout(value = 3, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PythonServingTest {
  private static final String SYNC =
      """
      import os

      class Predictor:
          def __init__(self, project, deployment, model, async_logger):
              self.weights = open(os.path.join(os.environ["MODEL_FILES_PATH"], "weights.txt"))
              self.weights = [float(word) for word in self.weights.read().split()]

          def predict(self, inputs):
              return [sum(w * x for w, x in zip(self.weights, row)) for row in inputs]
      """;

  private static final String ASYNC =
      SYNC.replace("    def predict", "    async def predict")
              .replace("import os", "import asyncio, os")
          + "\n    async def extra(self):\n        await asyncio.sleep(0)\n";

  private static final String KSERVE =
      """
      from kserve import Model, ModelServer, InferRequest, InferOutput, InferResponse

      class Weighted(Model):
          def __init__(self, name: str):
              super().__init__(name)
              self.name = name
              self.load()

          def load(self):
              self.ready = True

          def preprocess(self, payload, headers=None):
              return payload

          def predict(self, payload, headers=None):
              if isinstance(payload, InferRequest):
                  found = payload.inputs[0]
                  width = found.shape[1]
                  rows = [found.data[i:i + width] for i in range(0, len(found.data), width)]
                  sums = [1 * row[0] + 2 * row[1] for row in rows]
                  output = InferOutput("output-0", [len(sums)], "FP64", sums)
                  return InferResponse(payload.id, self.name, [output])
              return {"predictions": [1 * row[0] + 2 * row[1] for row in payload["instances"]]}

      if __name__ == "__main__":
          ModelServer().start([Weighted("weighted")])
      """;

  @TempDir Path directory;

  @BeforeAll
  static void requirePython() throws InterruptedException {
    boolean present;
    try {
      present = new ProcessBuilder("python3", "-c", "pass").start().waitFor() == 0;
    } catch (IOException e) {
      present = false;
    }
    if (!present) {
      System.err.println("not run: no python3 is on the PATH");
    }
    Assumptions.assumeTrue(present, "no python3 is on the PATH");
  }

  private void write(String name, String text) throws IOException {
    Files.writeString(directory.resolve(name), text);
  }

  private MillraceServer serve() throws IOException {
    return MillraceServer.start(ServerConfig.of(directory).onFreePorts(), Backends.onClassPath());
  }

  private Answer predict(MillraceServer server, String body) throws IOException {
    String name = String.valueOf(directory.getFileName());
    return RestClient.post(server.port(), "/v1/models/" + name + ":predict", body);
  }

  private Answer infer(MillraceServer server, String body) throws IOException {
    String name = String.valueOf(directory.getFileName());
    return RestClient.post(server.port(), "/v2/models/" + name + "/infer", body);
  }

  private ModelInferResponse grpc(MillraceServer server, InferInputTensor input) {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
    try {
      return GRPCInferenceServiceGrpc.newBlockingStub(channel)
          .modelInfer(
              ModelInferRequest.newBuilder()
                  .setModelName(String.valueOf(directory.getFileName()))
                  .addInputs(input)
                  .build());
    } finally {
      channel.shutdownNow();
    }
  }

  private static InferInputTensor floats(float... values) {
    InferTensorContents.Builder contents = InferTensorContents.newBuilder();
    for (float value : values) {
      contents.addFp32Contents(value);
    }
    return InferInputTensor.newBuilder()
        .setName("x")
        .setDatatype("FP32")
        .addShape(values.length / 2)
        .addShape(2)
        .setContents(contents)
        .build();
  }

  private static InferInputTensor texts(String... rows) {
    InferTensorContents.Builder contents = InferTensorContents.newBuilder();
    for (String row : rows) {
      contents.addBytesContents(ByteString.copyFrom(row, UTF_8));
    }
    return InferInputTensor.newBuilder()
        .setName("instances")
        .setDatatype("BYTES")
        .addShape(rows.length)
        .setContents(contents)
        .build();
  }

  @ParameterizedTest
  @ValueSource(strings = {SYNC, "async", "kserve"})
  void onePredictor_servesEveryProtocol(String which) throws IOException {
    write("predictor.py", which.equals("async") ? ASYNC : which.equals("kserve") ? KSERVE : which);
    write("weights.txt", "1 2");
    try (MillraceServer server = serve()) {
      Answer v1 = predict(server, "{\"instances\": [[3, 4], [5, 6.5]]}");
      assertThat(v1.status()).as(v1.body()).isEqualTo(200);
      assertThat(v1.body())
          .isEqualTo(
              which.equals("kserve")
                  ? "{\"predictions\":[11,18.0]}"
                  : "{\"predictions\":[11.0,18.0]}");

      Answer v2 =
          infer(
              server,
              "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[3,4,5,6.5]}]}");
      assertThat(v2.status()).as(v2.body()).isEqualTo(200);
      assertThat(v2.body())
          .contains("\"datatype\":\"FP64\"", "\"shape\":[2]", "\"data\":[11.0,18.0]");

      ModelInferResponse grpc = grpc(server, floats(3, 4, 5, 6.5f));
      assertThat(grpc.getOutputs(0).getContents().getFp64ContentsList())
          .containsExactly(11.0, 18.0);
      ModelInferResponse rows = grpc(server, texts("[3, 4]"));
      assertThat(rows.getOutputs(0).getName()).isEqualTo("predictions");
      assertThat(rows.getOutputs(0).getContents().getBytesContents(0).toStringUtf8())
          .startsWith("11");
    }
  }

  private static final String PREDICT =
      """
      class Predict(object):
          def predict(self, inputs):
              features = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]
              return {"scores": [features["customer"] * 2, 1], "ids": ["a", "b"]}
      """;

  private static final String RAW_TRANSFORMER =
      """
      class Transformer(object):
          def preprocess(self, inputs):
              inputs = inputs["instances"][0] if "instances" in inputs else inputs["inputs"][0]
              return {"inputs": [{"customer": inputs["id"]}]}

          def postprocess(self, outputs):
              scores = outputs["predictions"]["scores"]
              return {"ranking": sorted(scores)}
      """;

  private static final String UNWRAPPED_TRANSFORMER =
      """
      class Transformer(object):
          async def preprocess(self, inputs):
              inputs = inputs["instances"] if "instances" in inputs else inputs
              return {"instances": [{"customer": inputs[0]["id"]}]}

          def postprocess(self, outputs):
              return {"ranking": sorted(outputs["scores"])}
      """;

  @Test
  void aTransformerOfTheOlderGeneration_makesTheBody() throws IOException {
    write("predictor-mine.py", PREDICT);
    write("transformer-mine.py", RAW_TRANSFORMER);
    write("model.yaml", "python:\n  envelope: raw\n");
    try (MillraceServer server = serve()) {
      Answer v1 = predict(server, "{\"instances\": [{\"id\": 7}]}");
      assertThat(v1.body()).isEqualTo("{\"ranking\":[1,14]}");
      assertThat(predict(server, "{\"inputs\": [{\"id\": 7}]}").body())
          .isEqualTo("{\"ranking\":[1,14]}");
      ModelInferResponse grpc = grpc(server, texts("{\"id\": 7}"));
      assertThat(grpc.getOutputs(0).getName()).isEqualTo("response");
      assertThat(grpc.getOutputs(0).getContents().getBytesContents(0).toStringUtf8())
          .isEqualTo("{\"ranking\":[1,14]}");
      assertThat(
              infer(
                      server,
                      "{\"inputs\":[{\"name\":\"id\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[7]},"
                          + "{\"name\":\"day\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[1]}]}")
                  .body())
          .contains("{\\\"ranking\\\":[1,14]}");
    }
  }

  @Test
  void aTransformerOfTheNewerGeneration_makesThePredictions() throws IOException {
    write("predictor-mine.py", PREDICT);
    write("transformer-mine.py", UNWRAPPED_TRANSFORMER);
    try (MillraceServer server = serve()) {
      Answer v1 = predict(server, "{\"instances\": [{\"id\": 7}], \"top\": 3}");
      assertThat(v1.body()).isEqualTo("{\"predictions\":{\"ranking\":[1,14]}}");
      assertThat(predict(server, "{\"instances\": [{\"id\": 7}]}").body())
          .isEqualTo("{\"predictions\":{\"ranking\":[1,14]}}");
      ModelInferResponse grpc = grpc(server, texts("{\"id\": 7}"));
      assertThat(grpc.getOutputs(0).getContents().getBytesContents(0).toStringUtf8())
          .isEqualTo("{\"ranking\":[1,14]}");
    }
  }

  @Test
  void headers_reachTheScriptThatAsksForThem() throws IOException {
    write(
        "predictor.py",
        """
        class Predictor:
            def predict(self, inputs, headers):
                return [headers["x-user"], "host" in headers]
        """);
    try (MillraceServer server = serve();
        RestClient client = new RestClient(server.port())) {
      String path = "/v1/models/" + directory.getFileName() + ":predict";
      client.send("POST", path, "{\"instances\":[1]}", "X-User: ann", "x-user: b");
      assertThat(client.receive().body()).isEqualTo("{\"predictions\":[\"ann, b\",true]}");
    }
  }

  @Test
  void whereRequestsAreMerged_noneHasHeaders() throws IOException {
    write(
        "predictor.py",
        """
        class Predictor:
            def predict(self, inputs, headers=None):
                return [headers for _ in inputs]
        """);
    write("model.yaml", "max-batch-size: 4\n");
    try (MillraceServer server = serve()) {
      assertThat(predict(server, "{\"instances\":[1]}").body()).isEqualTo("{\"predictions\":[{}]}");
    }
  }

  /** Yields each row once there is a file of its name. */
  private static final String GENERATOR =
      """
      import os, time
      class Predictor:
          def predict(self, inputs):
              try:
                  for row in inputs[0]["prompt"].split():
                      if row == "bad": raise ValueError("a bad row")
                      while not os.path.exists(row):
                          time.sleep(0.005)
                      yield {"text": row}
              finally:
                  open("closed", "w").close()
      """;

  private HttpResponse<InputStream> generateStream(HttpClient client, int port, String prompt)
      throws IOException, InterruptedException {
    String url =
        "http://localhost:%d/v2/models/%s/generate_stream".formatted(port, directory.getFileName());
    return client.send(
        HttpRequest.newBuilder(URI.create(url))
            .POST(BodyPublishers.ofString("{\"prompt\": \"" + prompt + "\", \"id\": \"7\"}"))
            .build(),
        BodyHandlers.ofInputStream());
  }

  private String event(String text) {
    return "data: {\"model_name\":\"%s\",\"model_version\":\"1\",\"id\":\"7\",\"predictions\":{\"text\":\"%s\"}}"
        .formatted(directory.getFileName(), text);
  }

  @Test
  void whatAGeneratorYields_isAnEventAtOnce() throws Exception {
    write("predictor.py", GENERATOR);
    write("a", "");
    try (MillraceServer server = serve();
        HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<InputStream> response = generateStream(client, server.port(), "a b");
      assertThat(response.statusCode()).isEqualTo(200);
      assertThat(response.headers().firstValue("content-type"))
          .hasValue("text/event-stream; charset=utf-8");
      try (BufferedReader lines =
          new BufferedReader(new InputStreamReader(response.body(), UTF_8))) {
        assertThat(lines.readLine()).isEqualTo(event("a"));
        assertThat(lines.readLine()).isEmpty();
        write("b", ""); // not before the first was there
        assertThat(lines.readLine()).isEqualTo(event("b"));
        assertThat(lines.readLine()).isEmpty();
        assertThat(lines.readLine()).isNull();
      }
      try (BufferedReader lines =
          new BufferedReader(
              new InputStreamReader(
                  generateStream(client, server.port(), "a bad").body(), UTF_8))) {
        assertThat(lines.readLine()).isEqualTo(event("a"));
        assertThat(lines.readLine()).isEmpty();
        assertThat(lines.readLine()).isEqualTo("data: {\"error\":\"ValueError: a bad row\"}");
      }
      HttpResponse<InputStream> failed = generateStream(client, server.port(), "bad");
      assertThat(failed.statusCode()).isEqualTo(500);
      failed.body().close();
      assertThat(predict(server, "{\"instances\": [{\"prompt\": \"a b\"}]}").body())
          .isEqualTo("{\"predictions\":[{\"text\":\"a\"},{\"text\":\"b\"}]}");
      String name = String.valueOf(directory.getFileName());
      assertThat(
              RestClient.post(
                      server.port(), "/v2/models/" + name + "/generate", "{\"prompt\": \"a\"}")
                  .body())
          .endsWith("\"predictions\":{\"text\":\"a\"}}");
      assertThat(RestClient.get(server.port(), "/v2/models/" + name + "/config").body())
          .contains("\"decoupled\":true");
    }
  }

  @Test
  void aClientThatGoes_closesTheGenerator() throws Exception {
    write(
        "predictor.py",
        """
        import time
        class Predictor:
            def predict(self, inputs):
                try:
                    while inputs[0]["prompt"] == "forever":
                        yield "more"
                        time.sleep(0.005)
                    yield "once"
                finally:
                    open("closed", "w").close()
        """);
    try (MillraceServer server = serve();
        HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<InputStream> response = generateStream(client, server.port(), "forever");
      assertThat(response.body().read()).isEqualTo('d');
      response.body().close();
      long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
      while (!Files.exists(directory.resolve("closed"))) {
        assertThat(System.nanoTime()).as("not closed").isLessThan(end);
        Thread.sleep(5);
      }
      assertThat(predict(server, "{\"instances\": [{\"prompt\": \"\"}]}").body())
          .isEqualTo("{\"predictions\":[\"once\"]}");
    }
  }

  @Test
  void whatAGeneratorYields_isAResponseOfAStreamOverGrpc() throws Exception {
    write("predictor.py", GENERATOR);
    write("a", "");
    try (MillraceServer server = serve()) {
      ManagedChannel channel =
          NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
      try {
        BlockingQueue<Object> seen = new LinkedBlockingQueue<>();
        StreamObserver<ModelInferRequest> stream =
            GRPCInferenceServiceGrpc.newStub(channel).modelStreamInfer(into(seen));
        stream.onNext(streamed("1", "{\"prompt\": \"a b\"}", true));
        stream.onNext(streamed("2", "{\"prompt\": \"a\"}", false));
        stream.onNext(streamed("3", "{\"prompt\": \"a bad\"}", false));
        stream.onCompleted();
        assertThat(seen.poll(60, TimeUnit.SECONDS)).isEqualTo("1 [{\"text\":\"a\"}] false");
        write("b", ""); // not before the first was there
        assertThat(seen.poll(60, TimeUnit.SECONDS)).isEqualTo("1 [{\"text\":\"b\"}] false");
        assertThat(seen.poll(60, TimeUnit.SECONDS)).isEqualTo("1 [] true");
        assertThat(seen.poll(60, TimeUnit.SECONDS)).isEqualTo("2 [{\"text\":\"a\"}] false");
        assertThat(seen.poll(60, TimeUnit.SECONDS)).isEqualTo("3 [{\"text\":\"a\"}] false");
        assertThat(seen.poll(60, TimeUnit.SECONDS)).isEqualTo("3 [] true ValueError: a bad row");
        assertThat(seen.poll(60, TimeUnit.SECONDS)).isEqualTo("end");
      } finally {
        channel.shutdownNow();
      }
    }
  }

  private ModelInferRequest streamed(String id, String row, boolean emptyFinal) {
    return ModelInferRequest.newBuilder()
        .setId(id)
        .setModelName(String.valueOf(directory.getFileName()))
        .addInputs(texts(row))
        .putParameters(
            "triton_enable_empty_final_response",
            InferParameter.newBuilder().setBoolParam(emptyFinal).build())
        .build();
  }

  private static StreamObserver<ModelStreamInferResponse> into(BlockingQueue<Object> seen) {
    return new StreamObserver<>() {
      @Override
      public void onNext(ModelStreamInferResponse message) {
        ModelInferResponse response = message.getInferResponse();
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < response.getOutputsCount(); i++) {
          response
              .getOutputs(i)
              .getContents()
              .getBytesContentsList()
              .forEach(text -> texts.add(text.toStringUtf8()));
        }
        boolean last = response.getParametersOrThrow("triton_final_response").getBoolParam();
        seen.add(
            (response.getId() + " " + texts + " " + last + " " + message.getErrorMessage())
                .strip());
      }

      @Override
      public void onError(Throwable failure) {
        seen.add(failure);
      }

      @Override
      public void onCompleted() {
        seen.add("end");
      }
    };
  }

  @Test
  void theFlaskServersPaths_areThere() throws IOException {
    write(
        "predictor.py",
        """
        class Predict:
            def predict(self, inputs): return inputs[0]
            def classify(self, inputs): return ["class", inputs[0]]
            def regress(self, inputs): return {"value": inputs[0]}
        """);
    try (MillraceServer server = serve()) {
      assertThat(RestClient.post(server.port(), "/predict", "{\"inputs\":[5]}").body())
          .isEqualTo("{\"predictions\":5}");
      assertThat(RestClient.post(server.port(), "/classify", "{\"instances\":[5]}").body())
          .isEqualTo("{\"predictions\":[\"class\",5]}");
      assertThat(RestClient.post(server.port(), "/regress", "{\"inputs\":[5]}").body())
          .isEqualTo("{\"predictions\":{\"value\":5}}");
      assertThat(RestClient.post(server.port(), "/predict", "{\"other\":[5]}").status())
          .isEqualTo(400);
    }
  }

  @Test
  void aScript_winsOverAModelOfAnotherEngineBesideIt() throws IOException {
    write("predictor.py", "class Predictor:\n  def predict(self, x): return x\n");
    Files.write(directory.resolve("model.onnx"), OnnxModels.lookup());
    write("tokenizer.pkl", "");
    try (MillraceServer server = serve()) {
      assertThat(predict(server, "{\"instances\":[1]}").body()).isEqualTo("{\"predictions\":[1]}");
    }
    Files.delete(directory.resolve("predictor.py"));
    try (MillraceServer server = serve()) {
      String name = String.valueOf(directory.getFileName());
      assertThat(RestClient.get(server.port(), "/v2/models/" + name).body()).contains("onnx");
    }
  }

  @Test
  void errors_haveTheirStatusAndNoStack() throws IOException {
    write(
        "predictor.py",
        """
        class Missing(Exception):
            status_code = 404
        class Predictor:
            def predict(self, inputs):
                if inputs[0] == 404: raise Missing("no such customer")
                if inputs[0] == "nan": return [float("nan"), 1]
                raise ValueError("a bad thing")
        """);
    try (MillraceServer server = serve()) {
      Answer failed = predict(server, "{\"instances\":[1]}");
      assertThat(failed.status()).isEqualTo(500);
      assertThat(failed.body()).isEqualTo("{\"error\":\"ValueError: a bad thing\"}");
      Answer missing = predict(server, "{\"instances\":[404]}");
      assertThat(missing.status()).isEqualTo(404);
      assertThat(missing.body()).isEqualTo("{\"error\":\"no such customer\"}");
      assertThat(predict(server, "{\"instances\":[\"nan\"]}").body())
          .isEqualTo("{\"predictions\":[NaN,1]}");
      assertThatThrownBy(() -> grpc(server, texts("404")))
          .isInstanceOfSatisfying(
              StatusRuntimeException.class,
              e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.NOT_FOUND));
    }
  }

  @Test
  void anErrorOfAScript_isOneWarningWithItsOwnTraceback() throws IOException {
    write(
        "predictor.py",
        """
        class Predictor:
            def predict(self, inputs):
                return self.scale(inputs[0])
            def scale(self, value):
                return 1 / value
        """);
    Logger root = (Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME);
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    try (MillraceServer server = serve()) {
      log.start();
      root.addAppender(log);
      assertThat(predict(server, "{\"instances\":[0]}").body())
          .isEqualTo("{\"error\":\"ZeroDivisionError: division by zero\"}");
      assertThatThrownBy(() -> grpc(server, texts("0")))
          .hasMessageContaining("ZeroDivisionError: division by zero");
    } finally {
      root.detachAppender(log);
    }
    assertThat(log.list)
        .filteredOn(event -> event.getLevel().isGreaterOrEqual(Level.INFO))
        .filteredOn(event -> event.toString().contains("division"))
        .hasSize(2)
        .allSatisfy(event -> {
          assertThat(event.getLevel()).isEqualTo(Level.WARN);
          assertThat(event.getThrowableProxy()).isNull();
          assertThat(event.getFormattedMessage())
              .startsWith(directory.getFileName() + ": the script failed: ZeroDivisionError")
              .contains("line 3, in predict", "line 5, in scale")
              .doesNotContain("millrace_worker");
        });
  }

  @Test
  void batchedRows_failAlone() throws Exception {
    write(
        "predictor.py",
        """
        import time
        class Predictor:
            def predict(self, inputs):
                time.sleep(0.02)
                if "bad" in inputs: raise ValueError("a bad row")
                return [[row, len(inputs)] for row in inputs]
        """);
    write("model.yaml", "max-batch-size: 16\ninstances: 1\n");
    try (MillraceServer server = serve()) {
      List<Callable<Answer>> calls = new ArrayList<>();
      for (int i = 0; i < 24; i++) {
        String row = i == 13 ? "\"bad\"" : Integer.toString(i);
        calls.add(() -> predict(server, "{\"instances\":[" + row + "]}"));
      }
      int merged = 0;
      try (var threads = Executors.newFixedThreadPool(24)) {
        List<Future<Answer>> answers = threads.invokeAll(calls);
        for (int i = 0; i < answers.size(); i++) {
          Answer answer = answers.get(i).get();
          if (i == 13) {
            assertThat(answer.status()).isEqualTo(500);
            assertThat(answer.body()).contains("a bad row");
          } else {
            assertThat(answer.body()).startsWith("{\"predictions\":[[" + i + ",");
            merged += answer.body().endsWith(",1]]}") ? 0 : 1;
          }
        }
      }
      assertThat(merged).isPositive();
    }
  }

  @Test
  void aScriptThatDoesNotLoad_saysWhyAndLeavesTheOthersAlone() throws IOException {
    Files.createDirectories(directory.resolve("good"));
    Files.createDirectories(directory.resolve("bad"));
    write("good/predictor.py", "class Predictor:\n  def predict(self, x): return x\n");
    write("bad/predictor.py", "import nothing_of_this_name\n");
    try (MillraceServer server = serve()) {
      assertThat(RestClient.get(server.port(), "/v2/health/ready").status()).isEqualTo(503);
      assertThat(
              RestClient.post(server.port(), "/v1/models/good:predict", "{\"instances\":[1]}")
                  .body())
          .isEqualTo("{\"predictions\":[1]}");
      assertThat(RestClient.post(server.port(), "/v2/repository/index", "{}").body())
          .contains("No module named 'nothing_of_this_name'");
    }
  }
}
