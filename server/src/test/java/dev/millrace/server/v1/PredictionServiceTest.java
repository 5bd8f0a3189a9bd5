package dev.millrace.server.v1;

import static dev.millrace.server.v1.TfServingFixture.assertFails;
import static dev.millrace.server.v1.TfServingFixture.floats;
import static dev.millrace.server.v1.TfServingFixture.labelled;
import static dev.millrace.server.v1.TfServingFixture.spec;
import static dev.millrace.server.v1.TfServingFixture.tensor;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.millrace.proto.tensorflow.BytesList;
import dev.millrace.proto.tensorflow.DataType;
import dev.millrace.proto.tensorflow.Example;
import dev.millrace.proto.tensorflow.Feature;
import dev.millrace.proto.tensorflow.Features;
import dev.millrace.proto.tensorflow.FloatList;
import dev.millrace.proto.tensorflow.Int64List;
import dev.millrace.proto.tensorflow.SignatureDef;
import dev.millrace.proto.tensorflow.TensorInfo;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tfserving.Class;
import dev.millrace.proto.tfserving.ClassificationRequest;
import dev.millrace.proto.tfserving.ClassificationResponse;
import dev.millrace.proto.tfserving.ExampleList;
import dev.millrace.proto.tfserving.ExampleListWithContext;
import dev.millrace.proto.tfserving.GetModelMetadataRequest;
import dev.millrace.proto.tfserving.GetModelMetadataResponse;
import dev.millrace.proto.tfserving.InferenceTask;
import dev.millrace.proto.tfserving.Input;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.MultiInferenceRequest;
import dev.millrace.proto.tfserving.MultiInferenceResponse;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.PredictResponse;
import dev.millrace.proto.tfserving.RegressionRequest;
import dev.millrace.proto.tfserving.RegressionResponse;
import dev.millrace.proto.tfserving.SignatureDefMap;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class PredictionServiceTest {
  private static TfServingFixture server;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException {
    FunctionBackend.repository(directory);
    FunctionBackend.version(directory, "half_plus_two", 123);
    Files.writeString(
        directory.resolve("half_plus_two").resolve("model.yaml"),
        "version-policy: all\nversion-labels: {stable: 1, canary: 123}\n");
    server = new TfServingFixture(directory);
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static PredictRequest halves(ModelSpec spec, TensorProto x) {
    return PredictRequest.newBuilder().setModelSpec(spec).putInputs("x", x).build();
  }

  private static TensorProto predict(String model, TensorProto in) {
    return server
        .predictions()
        .predict(PredictRequest.newBuilder().setModelSpec(spec(model)).putInputs("in", in).build())
        .getOutputsOrThrow("out");
  }

  @Test
  void predict_answersWithTypedValuesAndTheVersion() {
    PredictResponse response =
        server.predictions().predict(halves(spec("half_plus_two"), floats(1, 2, 5)));
    assertThat(response.getModelSpec())
        .isEqualTo(
            spec("half_plus_two", 123).toBuilder().setSignatureName("serving_default").build());
    assertThat(response.getOutputsMap()).containsOnlyKeys("y");
    assertThat(response.getOutputsOrThrow("y")).isEqualTo(floats(2.5f, 3, 4.5f));
  }

  @Test
  void predict_reachesVersionsAndLabels() {
    for (ModelSpec spec :
        new ModelSpec[] {spec("half_plus_two", 1), labelled("half_plus_two", "stable")}) {
      PredictResponse response = server.predictions().predict(halves(spec, floats(1)));
      assertThat(response.getModelSpec().getVersion().getValue()).isEqualTo(1);
    }
    assertThat(
            server
                .predictions()
                .predict(halves(labelled("half_plus_two", "canary"), floats(1)))
                .getModelSpec()
                .getVersion()
                .getValue())
        .isEqualTo(123);
  }

  @Test
  void tensorContent_isRead() {
    ByteBuffer bytes = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putFloat(1).putFloat(2);
    TensorProto tensor =
        tensor(DataType.DT_FLOAT, 2).setTensorContent(ByteString.copyFrom(bytes.flip())).build();
    assertThat(
            server
                .predictions()
                .predict(halves(spec("half_plus_two"), tensor))
                .getOutputsOrThrow("y"))
        .isEqualTo(floats(2.5f, 3));
  }

  @Test
  void lastValue_isRepeated() {
    assertThat(predict("same_FP32", tensor(DataType.DT_FLOAT, 2, 2).addFloatVal(7).build()))
        .isEqualTo(
            tensor(DataType.DT_FLOAT, 2, 2)
                .addFloatVal(7)
                .addFloatVal(7)
                .addFloatVal(7)
                .addFloatVal(7)
                .build());
    assertThat(
            predict(
                    "same_INT64",
                    tensor(DataType.DT_INT64, 1, 3).addInt64Val(1).addInt64Val(2).build())
                .getInt64ValList())
        .containsExactly(1L, 2L, 2L);
    assertThat(predict("same_INT16", tensor(DataType.DT_INT16, 1, 3).build()).getIntValList())
        .containsExactly(0, 0, 0);
    assertThat(
            predict(
                    "same_BYTES",
                    tensor(DataType.DT_STRING, 1, 3)
                        .addStringVal(ByteString.copyFromUtf8("ab"))
                        .build())
                .getStringValList())
        .containsExactly(
            ByteString.copyFromUtf8("ab"),
            ByteString.copyFromUtf8("ab"),
            ByteString.copyFromUtf8("ab"));
    assertThat(predict("same_BYTES", tensor(DataType.DT_STRING, 1, 2).build()).getStringValList())
        .containsExactly(ByteString.EMPTY, ByteString.EMPTY);
  }

  @Test
  void everyDatatype_goesThere_andBack() {
    TensorProto[] tensors = {
      tensor(DataType.DT_BOOL, 1, 2).addBoolVal(true).addBoolVal(false).build(),
      tensor(DataType.DT_INT8, 1, 2).addIntVal(-128).addIntVal(127).build(),
      tensor(DataType.DT_UINT8, 1, 2).addIntVal(0).addIntVal(255).build(),
      tensor(DataType.DT_INT16, 1, 2).addIntVal(-32768).addIntVal(32767).build(),
      tensor(DataType.DT_UINT16, 1, 2).addIntVal(0).addIntVal(65535).build(),
      tensor(DataType.DT_INT32, 1, 2).addIntVal(Integer.MIN_VALUE).addIntVal(1).build(),
      tensor(DataType.DT_UINT32, 1, 2).addUint32Val(-1).addUint32Val(1).build(),
      tensor(DataType.DT_INT64, 1, 2).addInt64Val(Long.MIN_VALUE).addInt64Val(1).build(),
      tensor(DataType.DT_UINT64, 1, 2).addUint64Val(-1).addUint64Val(1).build(),
      tensor(DataType.DT_HALF, 1, 2).addHalfVal(0xFC00).addHalfVal(0x3C00).build(),
      tensor(DataType.DT_BFLOAT16, 1, 2).addHalfVal(0xFF80).addHalfVal(0x3F80).build(),
      tensor(DataType.DT_FLOAT, 1, 2).addFloatVal(Float.NaN).addFloatVal(-0f).build(),
      tensor(DataType.DT_DOUBLE, 1, 2).addDoubleVal(4.9e-324).addDoubleVal(1).build(),
      tensor(DataType.DT_STRING, 1, 2)
          .addStringVal(ByteString.copyFrom(new byte[] {-1, 0}))
          .addStringVal(ByteString.EMPTY)
          .build(),
    };
    for (TensorProto tensor : tensors) {
      String model = "same_" + TensorFlowTypes.read("", tensor);
      assertThat(predict(model, tensor)).as(model).isEqualTo(tensor);
    }
  }

  @Test
  void outputFilter_selects() {
    PredictRequest request =
        PredictRequest.newBuilder()
            .setModelSpec(spec("pair"))
            .putInputs("a", tensor(DataType.DT_FLOAT, 1, 2).addFloatVal(1).build())
            .putInputs("b", tensor(DataType.DT_INT64, 1).addInt64Val(5).build())
            .addOutputFilter("same_b")
            .build();
    assertThat(server.predictions().predict(request).getOutputsMap()).containsOnlyKeys("same_b");
    assertThat(
            server
                .predictions()
                .predict(request.toBuilder().clearOutputFilter().build())
                .getOutputsMap())
        .containsOnlyKeys("double_a", "same_b");
    assertFails(
        () -> server.predictions().predict(request.toBuilder().addOutputFilter("z").build()),
        Status.Code.INVALID_ARGUMENT,
        "output tensor alias not found in signature: z Outputs expected to be in the set {double_a,same_b}.");
    assertFails(
        () -> server.predictions().predict(request.toBuilder().addOutputFilter("same_b").build()),
        Status.Code.INVALID_ARGUMENT,
        "duplicate output tensor alias: same_b");
  }

  private void assertPredictFails(PredictRequest request, Status.Code code, String message) {
    assertFails(() -> server.predictions().predict(request), code, message);
  }

  @Test
  void wrongModels_areNamed() {
    assertPredictFails(
        PredictRequest.getDefaultInstance(), Status.Code.INVALID_ARGUMENT, "Missing ModelSpec");
    assertPredictFails(
        halves(spec("x"), floats(1)),
        Status.Code.NOT_FOUND,
        "Servable not found for request: Latest(x)");
    assertPredictFails(
        halves(spec("half_plus_two", 9), floats(1)),
        Status.Code.NOT_FOUND,
        "Servable not found for request: Specific(half_plus_two, 9)");
    assertPredictFails(
        halves(spec("half_plus_two", -9), floats(1)),
        Status.Code.NOT_FOUND,
        "Servable not found for request: Specific(half_plus_two, -9)");
    assertPredictFails(
        halves(labelled("half_plus_two", "blue"), floats(1)),
        Status.Code.INVALID_ARGUMENT,
        "Unrecognized servable version label: blue");
    assertPredictFails(
        halves(spec("half_plus_two").toBuilder().setSignatureName("x").build(), floats(1)),
        Status.Code.FAILED_PRECONDITION,
        "Serving signature key \"x\" not found.");
  }

  @Test
  void wrongInputs_areNamed() {
    assertPredictFails(
        PredictRequest.newBuilder().setModelSpec(spec("pair")).putInputs("a", floats(1)).build(),
        Status.Code.INVALID_ARGUMENT,
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.");
    assertPredictFails(
        PredictRequest.newBuilder()
            .setModelSpec(spec("half_plus_two"))
            .putInputs("y", floats(1))
            .build(),
        Status.Code.INVALID_ARGUMENT,
        "input size does not match signature: 1!=1 len({y}) != len({x}). Sent extra: {y}. Missing but required: {x}.");
    assertPredictFails(
        halves(spec("half_plus_two"), tensor(DataType.DT_DOUBLE, 1).addDoubleVal(1).build()),
        Status.Code.INVALID_ARGUMENT,
        "[request id: <id_unknown>] inference input 'x' data-type is 'FP64', but model 'half_plus_two' expects 'FP32'");
    assertPredictFails(
        halves(spec("half_plus_two"), tensor(DataType.DT_FLOAT, 1, 1).build()),
        Status.Code.INVALID_ARGUMENT,
        "[request id: <id_unknown>] unexpected shape for input 'x' for model 'half_plus_two'. Expected [-1], got [1,1]. NOTE: the first dimension is the batch dimension.");
  }

  @Test
  void tensorsThatContradictThemselves_areNamed() {
    Object[][] cases = {
      {
        tensor(DataType.DT_INVALID, 1),
        "input 'x' has the type DT_INVALID, which no model here takes"
      },
      {
        tensor(DataType.DT_COMPLEX64, 1),
        "input 'x' has the type DT_COMPLEX64, which no model here takes"
      },
      {
        tensor(DataType.DT_FLOAT, 1).setDtypeValue(101),
        "input 'x' has the type 101, which no model here takes"
      },
      {
        tensor(DataType.DT_FLOAT, -1),
        "the shape of input 'x' is not known: a tensor needs a size for each dimension"
      },
      {tensor(DataType.DT_FLOAT, -2), "shape [-2] has a negative dimension"},
      {
        tensor(DataType.DT_FLOAT, 1L << 40, 1L << 40),
        "shape [1099511627776, 1099511627776] has more elements than can be addressed"
      },
      {
        tensor(DataType.DT_FLOAT, 1).addFloatVal(1).addFloatVal(2),
        "input 'x' has 2 values, but its shape [1] takes 1"
      },
      {
        tensor(DataType.DT_FLOAT, 1L << 40).addFloatVal(1),
        "input 'x' of shape [1099511627776] has fewer values than elements, and is larger than the 67108864 bytes up to which the last one is repeated"
      },
      {
        tensor(DataType.DT_STRING, 16777217).addStringVal(ByteString.EMPTY),
        "input 'x' of shape [16777217] has fewer values than elements, and is larger than the 67108864 bytes up to which the last one is repeated"
      },
      {
        tensor(DataType.DT_STRING, 1).setTensorContent(ByteString.copyFromUtf8("a")),
        "input 'x' is of strings, which go into string_val, not tensor_content"
      },
      {
        tensor(DataType.DT_FLOAT, 1).setTensorContent(ByteString.copyFromUtf8("abc")),
        "tensor_content of input 'x' has 3 bytes, but float[1] takes 4"
      },
      {
        tensor(DataType.DT_INT8, 1).addIntVal(128),
        "value 128 of input 'x' is out of the range of int8"
      },
      {
        tensor(DataType.DT_HALF, 1).addHalfVal(-1),
        "value -1 of input 'x' is out of the range of half"
      },
    };
    for (Object[] each : cases) {
      assertPredictFails(
          halves(spec("half_plus_two"), ((TensorProto.Builder) each[0]).build()),
          Status.Code.INVALID_ARGUMENT,
          (String) each[1]);
    }
  }

  private static Feature floatFeature(float... values) {
    FloatList.Builder list = FloatList.newBuilder();
    for (float value : values) {
      list.addValue(value);
    }
    return Feature.newBuilder().setFloatList(list).build();
  }

  private static Example example(Feature feature) {
    return Example.newBuilder().setFeatures(Features.newBuilder().putFeature("x", feature)).build();
  }

  private static Input input(Example... examples) {
    ExampleList.Builder list = ExampleList.newBuilder();
    for (Example example : examples) {
      list.addExamples(example);
    }
    return Input.newBuilder().setExampleList(list).build();
  }

  private static Class label(String label, float score) {
    return Class.newBuilder().setLabel(label).setScore(score).build();
  }

  @Test
  void classify_givesLabelsAndScores() {
    ClassificationResponse response =
        server
            .predictions()
            .classify(
                ClassificationRequest.newBuilder()
                    .setModelSpec(spec("classifier"))
                    .setInput(input(example(floatFeature(1, 3)), example(floatFeature(2, 2))))
                    .build());
    assertThat(response.getModelSpec().getVersion().getValue()).isEqualTo(1);
    assertThat(response.getResult().getClassificationsCount()).isEqualTo(2);
    assertThat(response.getResult().getClassifications(0).getClassesList())
        .containsExactly(label("cat", 0.25f), label("dog", 0.75f));
  }

  @Test
  void regress_givesANumberForEachExample() {
    Input input =
        Input.newBuilder()
            .setExampleListWithContext(
                ExampleListWithContext.newBuilder()
                    .setContext(example(floatFeature(5)))
                    .addExamples(Example.getDefaultInstance())
                    .addExamples(Example.getDefaultInstance()))
            .build();
    RegressionResponse response =
        server
            .predictions()
            .regress(
                RegressionRequest.newBuilder()
                    .setModelSpec(spec("half_plus_two"))
                    .setInput(input)
                    .build());
    assertThat(response.getResult().getRegressionsList())
        .extracting(each -> each.getValue())
        .containsExactly(4.5f, 4.5f);
    assertThat(response.getModelSpec().getSignatureName()).isEqualTo("serving_default");
  }

  @Test
  void examples_thatDoNotFit_areNamed() {
    RegressionRequest.Builder request =
        RegressionRequest.newBuilder().setModelSpec(spec("half_plus_two"));
    assertFails(
        () -> server.predictions().regress(request.build()),
        Status.Code.INVALID_ARGUMENT,
        "Input is empty.");
    assertFails(
        () ->
            server
                .predictions()
                .regress(request.setInput(input(Example.getDefaultInstance())).build()),
        Status.Code.INVALID_ARGUMENT,
        "Feature: x is required but could not be found in every example.");
    Feature text =
        Feature.newBuilder()
            .setBytesList(BytesList.newBuilder().addValue(ByteString.copyFromUtf8("a")))
            .build();
    assertFails(
        () -> server.predictions().regress(request.setInput(input(example(text))).build()),
        Status.Code.INVALID_ARGUMENT,
        "Feature: x (data type: float) has values of type bytes");
    Feature whole = Feature.newBuilder().setInt64List(Int64List.newBuilder().addValue(5)).build();
    assertThat(
            server
                .predictions()
                .regress(request.setInput(input(example(whole))).build())
                .getResult()
                .getRegressions(0)
                .getValue())
        .isEqualTo(4.5f);
    assertFails(
        () ->
            server
                .predictions()
                .regress(request.setInput(input(example(floatFeature(1, 2)))).build()),
        Status.Code.INVALID_ARGUMENT,
        "Feature: x has 2 values in an example, which do not make a row of [-1]");
  }

  private static InferenceTask task(String model, String method) {
    return InferenceTask.newBuilder()
        .setModelSpec(spec(model))
        .setMethodName("tensorflow/serving/" + method)
        .build();
  }

  @Test
  void multiInference_answersEachTask() {
    MultiInferenceRequest.Builder request =
        MultiInferenceRequest.newBuilder()
            .addTasks(task("half_plus_two", "regress"))
            .addTasks(task("half_plus_two", "classify"))
            .setInput(input(example(floatFeature(1))));
    MultiInferenceResponse response = server.predictions().multiInference(request.build());
    assertThat(response.getResultsCount()).isEqualTo(2);
    assertThat(response.getResults(0).getRegressionResult().getRegressions(0).getValue())
        .isEqualTo(2.5f);
    assertThat(
            response.getResults(1).getClassificationResult().getClassifications(0).getClassesList())
        .containsExactly(label("0", 2.5f));

    assertFails(
        () ->
            server
                .predictions()
                .multiInference(request.clone().addTasks(task("half_plus_two", "regress")).build()),
        Status.Code.INVALID_ARGUMENT,
        "Duplicate evaluation of signature: serving_default");
    assertFails(
        () ->
            server
                .predictions()
                .multiInference(request.clone().setTasks(1, task("scores", "classify")).build()),
        Status.Code.INVALID_ARGUMENT,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name and version.");
    assertFails(
        () ->
            server
                .predictions()
                .multiInference(
                    request.clone().setTasks(1, task("half_plus_two", "predict")).build()),
        Status.Code.UNIMPLEMENTED,
        "Unsupported signature method_name: tensorflow/serving/predict");
    assertFails(
        () -> server.predictions().multiInference(request.clone().clearTasks().build()),
        Status.Code.INVALID_ARGUMENT,
        "Inference request has no tasks");
  }

  @Test
  void metadata_isTheSignature() throws Exception {
    GetModelMetadataRequest.Builder request =
        GetModelMetadataRequest.newBuilder()
            .setModelSpec(spec("half_plus_two"))
            .addMetadataField("signature_def");
    GetModelMetadataResponse response = server.predictions().getModelMetadata(request.build());
    assertThat(response.getModelSpec()).isEqualTo(spec("half_plus_two", 123));
    var any = response.getMetadataOrThrow("signature_def");
    assertThat(any.getTypeUrl())
        .isEqualTo("type.googleapis.com/tensorflow.serving.SignatureDefMap");
    SignatureDef signature =
        any.unpack(SignatureDefMap.class).getSignatureDefOrThrow("serving_default");
    assertThat(signature.getMethodName()).isEqualTo("tensorflow/serving/predict");
    assertThat(signature.getInputsOrThrow("x"))
        .isEqualTo(
            TensorInfo.newBuilder()
                .setName("x")
                .setDtype(DataType.DT_FLOAT)
                .setTensorShape(TfServingFixture.shape(-1))
                .build());
    assertThat(signature.getOutputsMap()).containsOnlyKeys("y");

    assertFails(
        () -> server.predictions().getModelMetadata(request.clone().clearMetadataField().build()),
        Status.Code.INVALID_ARGUMENT,
        "GetModelMetadataRequest must specify at least one metadata_field");
    assertFails(
        () -> server.predictions().getModelMetadata(request.clone().addMetadataField("x").build()),
        Status.Code.INVALID_ARGUMENT,
        "Metadata field x is not supported");
  }
}
