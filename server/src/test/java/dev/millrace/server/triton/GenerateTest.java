package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.v2.TestBackend;
import dev.millrace.testing.TensorLeakExtension;
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
class GenerateTest {
  private static TritonFixture fixture;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    TestBackend.repository(
        repository, "simple", "identity_bytes", "identity_fp32", "identity_fp16", "broken");
    fixture = new TritonFixture(repository);
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "identity_bytes | {'INPUT0':'Grüße'} | 'OUTPUT0':'Grüße'",
        "identity_bytes | {'INPUT0':['one'],'parameters':{'stream':false,'temperature':0.5},'max_tokens':20} | 'OUTPUT0':'one'",
        "identity_bytes | {'parameters':{'INPUT0':'inside'}} | 'OUTPUT0':'inside'",
        "identity_bytes | {'id':'7','INPUT0':''} | 'id':'7','OUTPUT0':''",
        "identity_bytes | {'INPUT0':'a','x':null} | 'OUTPUT0':'a'",
        "identity_fp32 | {'INPUT0':[1,2.5,NaN]} | 'OUTPUT0':[1.0,2.5,NaN]",
        "identity_fp32 | {'INPUT0':4} | 'OUTPUT0':4.0",
        "identity_fp32 | {'INPUT0':[]} | 'OUTPUT0':[]",
      })
  void members_areInputsAndParameters(String model, String request, String answer)
      throws IOException {
    String expected =
        "{'model_name':'%s','model_version':'1',%s}".formatted(model, answer).replace('\'', '"');

    Response whole = fixture.post("/v2/models/%s/generate".formatted(model), request);
    assertThat(whole.body()).isEqualTo(expected);
    assertThat(whole.status()).isEqualTo(200);
    assertThat(whole.header("content-type")).isEqualTo("application/json");

    Response stream =
        fixture.post("/v2/models/%s/versions/1/generate_stream".formatted(model), request);
    assertThat(stream.body()).isEqualTo("data: " + expected + "\n\n");
    assertThat(stream.status()).isEqualTo(200);
    assertThat(stream.header("content-type")).isEqualTo("text/event-stream; charset=utf-8");
  }

  @Test
  void inputs_ofSeveralNames() throws IOException {
    String row = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]";
    assertThat(
            fixture
                .post("/v2/models/simple/generate", "{'INPUT1':%s,'INPUT0':%s}".formatted(row, row))
                .body())
        .contains("\"OUTPUT0\":[2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32]");
  }

  @Test
  void requestInTheFormOfInfer_isAnsweredLikeThat() throws IOException {
    Response response =
        fixture.post(
            "/v2/models/identity_bytes/generate",
            "{'id':'i','inputs':[{'name':'INPUT0','shape':[1,1],'datatype':'BYTES','data':['a']}]}");

    assertThat(response.body())
        .isEqualTo(
            "{\"id\":\"i\",\"model_name\":\"identity_bytes\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"OUTPUT0\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"data\":[\"a\"]}]}");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "identity_bytes | 400 | [1] | failed to parse the request JSON buffer: expected an object",
        "identity_bytes | 400 | {'INPUT0':'a'} 1 | failed to parse the request JSON buffer: there is more behind the object",
        "identity_bytes | 400 | {'INPUT0':1} | Unable to parse 'INPUT0': expected a string, or a flat list of these",
        "identity_bytes | 400 | {'INPUT0':['a',['b']]} | Unable to parse 'INPUT0': expected a string, or a flat list of these",
        "identity_bytes | 400 | {'INPUT0':{}} | Unable to parse 'INPUT0': expected a string, or a flat list of these",
        "identity_bytes | 400 | {'INPUT0':'a','INPUT0':'b'} | input 'INPUT0' already exists in request",
        "identity_bytes | 400 | {'INPUT0':'a','x':{}} | 'x' is no input of model 'identity_bytes', and a parameter must be a string, a boolean or a number",
        "identity_bytes | 400 | {'INPUT0':'a','parameters':{'x':[]}} | 'x' is no input of model 'identity_bytes', and a parameter must be a string, a boolean or a number",
        "identity_bytes | 400 | {'INPUT0':'a','triton_x':1} | parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
        "identity_bytes | 400 | {'INPUT0':'a','id':1} | 'id' must be a string",
        "identity_bytes | 400 | {'INPUT0':['a','b']} | [request id: <id_unknown>] unexpected shape for input 'INPUT0' for model 'identity_bytes'. Expected [-1,1], got [1,2]. NOTE: the first dimension is the batch dimension.",
        "identity_fp32 | 400 | {'INPUT0':1e39} | Unable to parse 'INPUT0': expected a value of type FP32, or a flat list of these",
        "identity_fp16 | 400 | {'INPUT0':1} | receiving FP16 data via JSON is not supported, as for input 'INPUT0'",
        "nobody | 404 | {'INPUT0':1} | Request for unknown model: 'nobody' is not found",
        "broken | 400 | {} | the values are no good",
      })
  void failure_isAnErrorForTheStreamToo(String model, int status, String body, String message)
      throws IOException {
    for (String verb : new String[] {"generate", "generate_stream"}) {
      Response response = fixture.post("/v2/models/%s/%s".formatted(model, verb), body);
      assertThat(response.body()).isEqualTo("{\"error\":\"%s\"}".formatted(message));
      assertThat(response.status()).isEqualTo(status);
      assertThat(response.header("content-type")).isEqualTo("application/json");
    }
  }
}
