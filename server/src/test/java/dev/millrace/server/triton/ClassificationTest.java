package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class ClassificationTest {
  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    TestBackend.repository(
        repository,
        "simple",
        "identity_fp32",
        "identity_fp64",
        "identity_int8",
        "identity_uint64",
        "identity_fp16",
        "identity_bool",
        "identity_bytes",
        "wild");
    TritonFixture.write(repository, "identity_fp32/model.yaml", "labels: {OUTPUT0: labels.txt}");
    TritonFixture.write(
        repository,
        "identity_fp32/labels.txt",
        """
        cat

        dog: large
        """);
    fixture = new TritonFixture(repository);
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  private static Response classify(String type, String shape, String data, String parameters)
      throws IOException {
    return fixture.post(
        "/v2/models/identity_%s/infer".formatted(type.toLowerCase(java.util.Locale.ROOT)),
        "{'inputs':[{'name':'INPUT0','shape':%s,'datatype':'%s','data':%s}],'outputs':[{'name':'OUTPUT0','parameters':{%s}}]}"
            .formatted(shape, type, data, parameters));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "FP32 | [1,4] | [0.1,0.25,0.5,0.125] | 2 | [1,2] | ['0.500000:2:dog: large','0.250000:1']",
        "FP32 | [2,3] | [3,1,2,1,3,2]        | 1 | [2,1] | ['3.000000:0:cat','3.000000:1']",
        "FP32 | [1,2] | [-1e9,1e-9]          | 9 | [1,2] | ['0.000000:1','-1000000000.000000:0:cat']",
        "FP32 | [1,4] | [NaN,Infinity,1,-Infinity] | 4 | [1,4] | ['inf:1','1.000000:2:dog: large','-inf:3','nan:0:cat']",
        "FP64 | [1,3] | [1,1,1]              | 2 | [1,2] | ['1.000000:0','1.000000:1']",
        "INT8 | [1,3] | [-5,7,0]             | 3 | [1,3] | ['7:1','0:2','-5:0']",
        "UINT64 | [1,2] | [1,18446744073709551615] | 1 | [1,1] | ['18446744073709551615:1']",
        "FP32 | [0,2] | []                   | 3 | [0,0] | []",
        "FP32 | [2,0] | []                   | 3 | [2,0] | []",
      })
  void scores_comeBackAsTheBestClasses(
      String type, String shape, String data, int count, String expectedShape, String expected)
      throws IOException {
    Response response = classify(type, shape, data, "'classification':" + count);

    assertThat(response.body())
        .contains(
            "'outputs':[{'name':'OUTPUT0','datatype':'BYTES','shape':%s,'data':%s}]"
                .formatted(expectedShape, expected)
                .replace('\'', '"'));
    assertThat(response.status()).isEqualTo(200);
  }

  @Test
  void manyClasses_areSorted() throws IOException {
    StringBuilder data = new StringBuilder("[");
    StringBuilder expected = new StringBuilder();
    for (int i = 0; i < 1000; i++) {
      data.append(i == 0 ? "" : ",").append(i * 7919 % 1000);
    }
    for (int score = 999; score >= 500; score--) {
      int index = 0;
      while (index * 7919 % 1000 != score) {
        index++;
      }
      expected.append(expected.isEmpty() ? "" : ",");
      expected.append('"').append(score).append(".000000:").append(index).append('"');
    }
    Response response =
        classify("FP64", "[1,1000]", data.append(']').toString(), "'classification':500");

    assertThat(response.body()).contains("\"data\":[" + expected + "]");
  }

  @Test
  void modelWithoutBatchDimension_hasOneListOfClasses() throws IOException {
    assertThat(
            fixture
                .post(
                    "/v2/models/wild/infer",
                    "{'inputs':[{'name':'INPUT0','shape':[1,2,2],'datatype':'FP32','data':[1,4,2,3]}],'outputs':[{'name':'INPUT0','parameters':{'classification':2}}]}")
                .body())
        .contains("\"shape\":[2],\"data\":[\"4.000000:1\",\"3.000000:3\"]");
  }

  @Test
  void classes_canBeBinaryAndStandBesideTensors() throws IOException {
    Response binary = classify("FP32", "[1,2]", "[1,2]", "'classification':1,'binary_data':true");
    assertThat(binary.body()).contains("\"binary_data_size\":14").endsWith("2.000000:1");

    Response mixed =
        fixture.post(
            "/v2/models/simple/infer",
            TritonFixture.SIMPLE.replaceAll("}$", "")
                + ",'outputs':[{'name':'OUTPUT1'},{'name':'OUTPUT0','parameters':{'classification':1}}]}");
    assertThat(mixed.body())
        .contains("\"data\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]")
        .contains("\"data\":[\"32:15\"]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "BYTES | [1,1] | ['a'] | 1 | class result not available for output 'OUTPUT0' due to unsupported type 'BYTES'",
        "BOOL | [1,2] | [true,false] | 1 | class result not available for output 'OUTPUT0' due to unsupported type 'BOOL'",
        "FP32 | [1,2] | [1,2] | -1 | parameter 'classification' of output 'OUTPUT0' must not be negative, got -1",
        "FP32 | [1,2] | [1,2] | 1.5 | Unable to parse 'classification': attempt to access JSON non-signed-integer as signed-integer",
        "FP32 | [1,2] | [1,2] | true | Unable to parse 'classification': attempt to access JSON non-signed-integer as signed-integer",
        "FP32 | [1,2] | [1,2] | 1,'shared_memory_region':'r','shared_memory_byte_size':8 | shared memory can't be used for classification outputs, as asked for output 'OUTPUT0'",
      })
  void classificationThatMakesNoSense_isRefused(
      String type, String shape, String data, String count, String message) throws IOException {
    Response response = classify(type, shape, data, "'classification':" + count);

    assertThat(response.body()).isEqualTo("{\"error\":\"%s\"}".formatted(message));
    assertThat(response.status()).isEqualTo(400);
  }

  @Test
  void zero_asksForTheScores() throws IOException {
    assertThat(classify("FP32", "[1,2]", "[1,2]", "'classification':0").body())
        .contains("\"data\":[1.0,2.0]");
  }

  private static ModelInferRequest grpc(InferParameter classification) {
    return TritonFixture.floats("", 1, 3, 5, 2)
        .addOutputs(
            InferRequestedOutputTensor.newBuilder()
                .setName("OUTPUT0")
                .putParameters("classification", classification))
        .build();
  }

  @Test
  void scores_overGrpc() {
    ModelInferResponse response =
        fixture.stub().modelInfer(grpc(InferParameter.newBuilder().setInt64Param(1).build()));

    assertThat(response.getOutputs(0).getDatatype()).isEqualTo("BYTES");
    assertThat(response.getOutputs(0).getShapeList()).containsExactly(2L, 1L);
    assertThat(response.getRawOutputContents(0).toStringUtf8())
        .isEqualTo("\n\0\0\0003.000000:1\016\0\0\0005.000000:0:cat");
    assertThatThrownBy(() ->
            fixture
                .stub()
                .modelInfer(grpc(InferParameter.newBuilder().setStringParam("1").build())))
        .isInstanceOf(StatusRuntimeException.class)
        .hasMessageContaining(
            "INVALID_ARGUMENT: invalid value type for 'classification' parameter, expected int64_param.");
  }
}
