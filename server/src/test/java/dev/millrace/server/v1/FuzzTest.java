package dev.millrace.server.v1;

import static dev.millrace.server.v1.TfServingFixture.floats;
import static dev.millrace.server.v1.TfServingFixture.spec;
import static dev.millrace.server.v1.TfServingFixture.tensor;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import dev.millrace.proto.tensorflow.DataType;
import dev.millrace.proto.tensorflow.Example;
import dev.millrace.proto.tensorflow.Feature;
import dev.millrace.proto.tensorflow.Features;
import dev.millrace.proto.tensorflow.FloatList;
import dev.millrace.proto.tfserving.ClassificationRequest;
import dev.millrace.proto.tfserving.ExampleList;
import dev.millrace.proto.tfserving.GetModelMetadataRequest;
import dev.millrace.proto.tfserving.GetModelStatusRequest;
import dev.millrace.proto.tfserving.InferenceTask;
import dev.millrace.proto.tfserving.Input;
import dev.millrace.proto.tfserving.MultiInferenceRequest;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.RegressionRequest;
import dev.millrace.server.fuzz.Fuzzing;
import dev.millrace.server.fuzz.Mutations;
import dev.millrace.server.fuzz.RawCalls;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonReadFeature;

/**
 * Valid messages with a few bytes changed, from a seeded generator. Whatever a client sends, it
 * gets a well-formed answer, which never says that the server is at fault; that nothing is left
 * behind is what the extensions look after.
 */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class FuzzTest {
  private static final JsonFactory JSON =
      JsonFactory.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  private static TfServingFixture server;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException {
    FunctionBackend.repository(directory);
    FunctionBackend.version(directory, "signed", 1);
    server = new TfServingFixture(directory);
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void rest_answersWhateverComes() throws Exception {
    String[][] requests = {
      {"half_plus_two:predict", "{\"instances\":[1.5,-2,3e4,NaN],\"signature_name\":\"\"}"},
      {"pair:predict", "{\"instances\":[{\"a\":[1,2],\"b\":3},{\"a\":[3,4],\"b\":5}]}"},
      {"pair:predict", "{\"inputs\":{\"a\":[[1,2],[3,4]],\"b\":[6,7]},\"x\":{}}"},
      {"text:predict", "{\"instances\":[\"a\",{\"b64\":\"YWI=\"},\"\\u00e9\"]}"},
      {"script:predict", "{\"instances\":[{\"a\":[1,null]},2,\"b\"],\"parameters\":{\"c\":1}}"},
      {"classifier:classify", "{\"context\":{},\"examples\":[{\"x\":[1,2]},{\"x\":[3,4]}]}"},
      {"signed:predict", "{\"instances\":[1.5,2],\"signature_name\":\"negative\"}"},
      {
        "signed:classify",
        "{\"signature_name\":\"classify_x\",\"examples\":[{\"x\":[1],\"y\":\"a\"},{\"x\":2.5}]}"
      },
      {
        "signed:regress",
        "{\"examples\":[{}],\"context\":{\"x\":{\"b64\":\"YQ==\"}},\"signature_name\":\"regress_x\"}"
      },
      {"half_plus_two:regress", "{\"context\":{\"x\":1},\"examples\":[{},{}]}"},
    };
    try (RawClient client = new RawClient(server.server.port())) {
      Fuzzing.run(
          "V1 and TF Serving REST",
          random -> {
            String[] request = requests[random.nextInt(requests.length)];
            byte[] body = Mutations.of(request[1].getBytes(UTF_8), random);
            client.send(
                "POST /v1/models/%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
                    .formatted(request[0], body.length));
            Response response = client.send(body).read();
            String what = request[0] + " " + new String(body, UTF_8) + " -> " + response.body();
            assertThat(response.status()).as(what).isIn(200, 400);
            requireJson(response, what);
          });
    }
  }

  private static void requireJson(Response response, String what) {
    String first = null;
    try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), response.bytes())) {
      var _ = parser.nextToken();
      first = parser.nextName();
      while (parser.nextToken() != null) {
        // to the end
      }
    } catch (RuntimeException e) {
      throw new AssertionError(what, e);
    }
    assertThat(first)
        .as(what)
        .isIn(
            response.status() == 200
                ? Set.of("predictions", "outputs", "results")
                : Set.of("error"));
  }

  @Test
  void grpc_answersWhateverComes() throws Exception {
    Input examples =
        Input.newBuilder()
            .setExampleList(
                ExampleList.newBuilder()
                    .addExamples(
                        Example.newBuilder()
                            .setFeatures(
                                Features.newBuilder()
                                    .putFeature(
                                        "x",
                                        Feature.newBuilder()
                                            .setFloatList(
                                                FloatList.newBuilder().addValue(1).addValue(2))
                                            .build()))))
            .build();
    Object[][] requests = {
      {
        "PredictionService/Predict",
        PredictRequest.newBuilder()
            .setModelSpec(spec("half_plus_two", 1))
            .putInputs("x", floats(1, 2, 3))
            .addOutputFilter("y")
            .build()
      },
      {
        "PredictionService/Predict",
        PredictRequest.newBuilder()
            .setModelSpec(spec("text"))
            .putInputs(
                "t",
                tensor(DataType.DT_STRING, 2).addStringVal(ByteString.copyFromUtf8("ab")).build())
            .build()
      },
      {
        "PredictionService/Predict",
        PredictRequest.newBuilder()
            .setModelSpec(spec("half_plus_two"))
            .putInputs(
                "x",
                tensor(DataType.DT_FLOAT, 2)
                    .setTensorContent(ByteString.copyFrom(new byte[8]))
                    .build())
            .build()
      },
      {
        "PredictionService/Predict",
        PredictRequest.newBuilder()
            .setModelSpec(spec("signed").toBuilder().setSignatureName("negative"))
            .putInputs("a", floats(1, 2, 3))
            .build()
      },
      {
        "PredictionService/MultiInference",
        MultiInferenceRequest.newBuilder()
            .addTasks(
                InferenceTask.newBuilder()
                    .setModelSpec(spec("signed").toBuilder().setSignatureName("classify_x"))
                    .setMethodName("tensorflow/serving/classify"))
            .addTasks(
                InferenceTask.newBuilder()
                    .setModelSpec(spec("signed").toBuilder().setSignatureName("regress_x"))
                    .setMethodName("tensorflow/serving/regress"))
            .setInput(examples)
            .build()
      },
      {
        "PredictionService/Regress",
        RegressionRequest.newBuilder()
            .setModelSpec(spec("half_plus_two"))
            .setInput(examples)
            .build()
      },
      {
        "PredictionService/MultiInference",
        MultiInferenceRequest.newBuilder()
            .addTasks(
                InferenceTask.newBuilder()
                    .setModelSpec(spec("classifier"))
                    .setMethodName("tensorflow/serving/classify"))
            .setInput(examples)
            .build()
      },
      {
        "ModelService/GetModelStatus",
        GetModelStatusRequest.newBuilder().setModelSpec(spec("half_plus_two", 1)).build()
      },
      {
        "PredictionService/Classify",
        ClassificationRequest.newBuilder()
            .setModelSpec(spec("classifier"))
            .setInput(examples)
            .build()
      },
      {
        "PredictionService/GetModelMetadata",
        GetModelMetadataRequest.newBuilder()
            .setModelSpec(spec("pair"))
            .addMetadataField("signature_def")
            .build()
      },
    };
    Set<Status.Code> clientsFault =
        Set.of(
            Status.Code.OK,
            Status.Code.INVALID_ARGUMENT,
            Status.Code.NOT_FOUND,
            Status.Code.FAILED_PRECONDITION,
            // Another method_name in MultiInference.
            Status.Code.UNIMPLEMENTED);
    Fuzzing.run(
        "TF Serving gRPC",
        random -> {
          Object[] request = requests[random.nextInt(requests.length)];
          byte[] message = Mutations.of(((MessageLite) request[1]).toByteArray(), random);
          Status.Code code =
              RawCalls.unary(server.channel, "tensorflow.serving." + request[0], message).getCode();
          assertThat(code)
              .as(() -> request[0] + " " + java.util.HexFormat.of().formatHex(message))
              .isIn(clientsFault);
        });
  }
}
