package dev.millrace.server.v1;

import static dev.millrace.server.v1.TfServingFixture.assertFails;
import static dev.millrace.server.v1.TfServingFixture.floats;
import static dev.millrace.server.v1.TfServingFixture.spec;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.proto.tensorflow.Example;
import dev.millrace.proto.tensorflow.Feature;
import dev.millrace.proto.tensorflow.Features;
import dev.millrace.proto.tensorflow.FloatList;
import dev.millrace.proto.tfserving.ClassificationRequest;
import dev.millrace.proto.tfserving.ExampleList;
import dev.millrace.proto.tfserving.ExampleListWithContext;
import dev.millrace.proto.tfserving.GetModelMetadataRequest;
import dev.millrace.proto.tfserving.InferenceTask;
import dev.millrace.proto.tfserving.Input;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.MultiInferenceRequest;
import dev.millrace.proto.tfserving.MultiInferenceResponse;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.PredictResponse;
import dev.millrace.proto.tfserving.RegressionRequest;
import dev.millrace.proto.tfserving.SignatureDefMap;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A model that can be called in several ways: {@link SignedModel}. */
@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class SignaturesTest {
  private static TfServingFixture server;
  private static RawClient client;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    FunctionBackend.version(repository, "signed", 1);
    server = new TfServingFixture(repository);
    client = new RawClient(server.server.port());
  }

  @AfterAll
  static void stop() throws IOException {
    client.close();
    server.close();
  }

  private static String post(String verb, int status, String body) throws IOException {
    byte[] bytes = body.replace('\'', '"').getBytes(UTF_8);
    client.send(
        "POST /v1/models/signed:%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
            .formatted(verb, bytes.length));
    Response response = client.send(bytes).read();
    assertThat(response.status()).as(response.body()).isEqualTo(status);
    return response.body();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "predict | {'instances':[1,2]} | {'predictions':[2.5,3.0]}",
        "predict | {'signature_name':'serving_default','instances':[1]} | {'predictions':[2.5]}",
        "predict | {'signature_name':'negative','instances':[1,2]} | {'predictions':[-2.5,-3.0]}",
        "predict | {'instances':[{'a':1}],'signature_name':'negative'} | {'predictions':[-2.5]}",
        "predict | {'inputs':{'a':[1]},'signature_name':'negative'} | {'outputs':[-2.5]}",
        "classify | {'signature_name':'classify_x','examples':[{'x':1.0},{'x':[2]}]} | {'results':[[['0',2.5]],[['0',3.0]]]}",
        "regress | {'signature_name':'regress_x','examples':[{'x':1.0},{'x':2}]} | {'results':[2.5,3.0]}",
        "regress | {'examples':[{'y':'text'}],'context':{'x':4.0},'signature_name':'regress_x'} | {'results':[4.0]}",
        "regress | {'examples':[{'x':1.0}]} | {'results':[2.5]}",
      })
  void rest_callsTheSignatureThatIsNamed(String verb, String body, String answer)
      throws IOException {
    assertThat(post(verb, 200, body)).isEqualTo(answer.replace('\'', '"'));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "predict | {'signature_name':'no','instances':[1]} | Serving signature name: \\\"no\\\" not found in signature def",
        "predict | {'signature_name':'negative','instances':[{'x':1}]} | x",
        "predict | {'signature_name':7,'instances':[1]} | 'signature_name' key must be a string value",
        "classify | {'signature_name':'classify_x','examples':[]} | 'examples' value is an empty array",
        "classify | {'signature_name':'classify_x','examples':[3]} | Example must be JSON object",
        "classify | {'signature_name':'classify_x','examples':[{'x':['a',1]}]} | Feature: x expects values of one kind",
        "classify | {'signature_name':'classify_x','examples':[{'x':null}]} | Feature: x expects numbers or texts",
        "classify | {'signature_name':'classify_x','examples':[{'x':{'b64':'***'}}]} | Feature: x expects an object with one key",
        "classify | {'signature_name':'classify_x','examples':[{'x':99999999999999999999}]} | at most 64 bits",
        "classify | {'signature_name':'classify_x','examples':[{'x':1 | JSON Parse error",
      })
  void rest_refusesWhatDoesNotDo(String verb, String body, String message) throws IOException {
    assertThat(post(verb, 400, body)).contains(message);
  }

  @Test
  void rest_listsThemAll() throws IOException {
    String body = client.get("/v1/models/signed/metadata").read().body();
    assertThat(body)
        .contains("\"serving_default\":{\"inputs\":{\"x\":{\"dtype\":\"DT_FLOAT\"")
        .contains("\"negative\":{\"inputs\":{\"a\"")
        .contains("\"classify_x\":{\"inputs\":{\"inputs\":{\"dtype\":\"DT_STRING\"")
        .contains("\"name\":\"inputs:0\"")
        .contains("\"method_name\":\"tensorflow/serving/regress\"");
  }

  private static ModelSpec named(String signature) {
    return spec("signed").toBuilder().setSignatureName(signature).build();
  }

  private static Example example(float x) {
    return Example.newBuilder()
        .setFeatures(
            Features.newBuilder()
                .putFeature(
                    "x",
                    Feature.newBuilder().setFloatList(FloatList.newBuilder().addValue(x)).build()))
        .build();
  }

  private static Input input(float... values) {
    ExampleList.Builder list = ExampleList.newBuilder();
    for (float value : values) {
      list.addExamples(example(value));
    }
    return Input.newBuilder().setExampleList(list).build();
  }

  @Test
  void grpc_predicts() {
    PredictRequest.Builder request =
        PredictRequest.newBuilder().setModelSpec(named("negative")).putInputs("a", floats(1, 2));
    PredictResponse response = server.predictions().predict(request.build());
    assertThat(response.getOutputsOrThrow("b").getFloatValList()).containsExactly(-2.5f, -3f);
    assertThat(response.getModelSpec().getSignatureName()).isEqualTo("negative");
    assertFails(
        () -> server.predictions().predict(request.setModelSpec(named("no")).build()),
        Status.Code.FAILED_PRECONDITION,
        "Serving signature key \"no\" not found.");
  }

  @Test
  void grpc_classifiesAndRegresses_examplesAsTheyAre() {
    assertThat(
            server
                .predictions()
                .classify(
                    ClassificationRequest.newBuilder()
                        .setModelSpec(named("classify_x"))
                        .setInput(input(1, 2))
                        .build())
                .getResult()
                .getClassifications(1)
                .getClasses(0)
                .getScore())
        .isEqualTo(3f);
    Input withContext =
        Input.newBuilder()
            .setExampleListWithContext(
                ExampleListWithContext.newBuilder()
                    .setContext(example(4))
                    .addExamples(Example.getDefaultInstance())
                    .addExamples(example(2)))
            .build();
    assertThat(
            server
                .predictions()
                .regress(
                    RegressionRequest.newBuilder()
                        .setModelSpec(named("regress_x"))
                        .setInput(withContext)
                        .build())
                .getResult()
                .getRegressionsList())
        .extracting(regression -> regression.getValue())
        .containsExactly(4f, 3f);
  }

  private static InferenceTask task(String signature, String method) {
    return InferenceTask.newBuilder()
        .setModelSpec(named(signature))
        .setMethodName("tensorflow/serving/" + method)
        .build();
  }

  @Test
  void grpc_infersByManySignaturesAtOnce() {
    MultiInferenceRequest.Builder request =
        MultiInferenceRequest.newBuilder()
            .addTasks(task("regress_x", "regress"))
            .addTasks(task("classify_x", "classify"))
            .addTasks(task("serving_default", "regress"))
            .setInput(input(1, 2));
    MultiInferenceResponse response = server.predictions().multiInference(request.build());
    assertThat(response.getResults(0).getRegressionResult().getRegressions(1).getValue())
        .isEqualTo(3f);
    assertThat(response.getResults(0).getModelSpec().getSignatureName()).isEqualTo("regress_x");
    assertThat(
            response
                .getResults(1)
                .getClassificationResult()
                .getClassifications(0)
                .getClasses(0)
                .getScore())
        .isEqualTo(2.5f);
    assertThat(response.getResults(2).getRegressionResult().getRegressions(0).getValue())
        .isEqualTo(2.5f);
    assertFails(
        () ->
            server
                .predictions()
                .multiInference(request.clone().addTasks(task("regress_x", "regress")).build()),
        Status.Code.INVALID_ARGUMENT,
        "Duplicate evaluation of signature: regress_x");
    assertFails(
        () ->
            server
                .predictions()
                .multiInference(request.clone().addTasks(task("negative", "regress")).build()),
        Status.Code.INVALID_ARGUMENT,
        "Feature: a is required but could not be found in every example.");
  }

  @Test
  void grpc_listsThemAll() throws IOException {
    SignatureDefMap signatures =
        server
            .predictions()
            .getModelMetadata(
                GetModelMetadataRequest.newBuilder()
                    .setModelSpec(spec("signed"))
                    .addMetadataField("signature_def")
                    .build())
            .getMetadataOrThrow("signature_def")
            .unpack(SignatureDefMap.class);
    assertThat(signatures.getSignatureDefMap())
        .containsOnlyKeys("serving_default", "negative", "classify_x", "regress_x");
    assertThat(signatures.getSignatureDefOrThrow("classify_x").getMethodName())
        .isEqualTo("tensorflow/serving/classify");
    assertThat(signatures.getSignatureDefOrThrow("serving_default").getInputsOrThrow("x").getName())
        .isEqualTo("x:0");
  }
}
