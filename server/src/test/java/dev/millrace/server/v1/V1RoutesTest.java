package dev.millrace.server.v1;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.testing.TensorLeakExtension;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class V1RoutesTest {
  private static V1Fixture server;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException {
    FunctionBackend.repository(directory);
    for (int version = 2; version <= 12; version += 10) {
      FunctionBackend.version(directory, "half_plus_two", version);
    }
    Files.writeString(
        directory.resolve("half_plus_two").resolve("model.yaml"),
        "version-policy: all\nversion-labels: {stable: 2, canary: 12, gone: 9}\n");
    server = new V1Fixture(directory);
  }

  @AfterAll
  static void stop() throws IOException {
    server.close();
  }

  private static void assertJson(Response response, String json) {
    assertThat(response.body()).isEqualTo(json.replace('\'', '"'));
    assertThat(response.status()).isEqualTo(200);
    assertThat(response.header("content-type")).isEqualTo("application/json");
  }

  private static void assertError(Response response, int status, String message) {
    assertThat(response.body()).isEqualTo("{\"error\":\"" + message.replace("\"", "\\\"") + "\"}");
    assertThat(response.status()).isEqualTo(status);
    assertThat(response.header("content-type")).isEqualTo("application/json");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        // Rows of one input.
        "half_plus_two | {'instances': [1.0, 2.0, 5.0]}    | {'predictions':[2.5,3.0,4.5]}",
        "half_plus_two | {'instances': [1, -2, 5e0]}       | {'predictions':[2.5,1.0,4.5]}",
        "half_plus_two | {'instances': [{'x': 1}, {'x':2}]} | {'predictions':[2.5,3.0]}",
        "half_plus_two | {'instances':[NaN,Infinity,-Infinity]} | {'predictions':[NaN,Infinity,-Infinity]}",
        "half_plus_two | {'signature_name':'serving_default','instances':[1]} | {'predictions':[2.5]}",
        "half_plus_two | {'instances':[1],'signature_name':''} | {'predictions':[2.5]}",
        "half_plus_two | {'other':{'instances':[7]},'instances':[1]} and more | {'predictions':[2.5]}",
        "same_INT32    | {'instances':[[1,2],[3,4]]}      | {'predictions':[[1,2],[3,4]]}",
        "same_INT32    | {'instances':[[],[]]}            | {'predictions':[[],[]]}",
        // Rows of several.
        "pair | {'instances':[{'a':[1,2],'b':3},{'b':-4,'a':[5,6]}]} | {'predictions':[{'double_a':[2.0,4.0],'same_b':3},{'double_a':[10.0,12.0],'same_b':-4}]}",
        // Columns.
        "half_plus_two | {'inputs':[1.0, 2.0]}             | {'outputs':[2.5,3.0]}",
        "half_plus_two | {'inputs':{'x':[1.0, 2.0],'z':[{}]}} | {'outputs':[2.5,3.0]}",
        "pair | {'inputs':{'b':[3],'a':[[1,2]]}}           | {'outputs':{'double_a':[[2.0,4.0]],'same_b':[3]}}",
        "scalars | {'inputs':1.5}                          | {'outputs':-1.5}",
        "scalars | {'inputs':{'x':1}}                      | {'outputs':-1.0}",
        // A last dimension of 1, there and left out.
        "one_column | {'instances':[[1],[2]]}                  | {'predictions':[[-1.0],[-2.0]]}",
        "one_column | {'instances':[1,2]}                      | {'predictions':[[-1.0],[-2.0]]}",
        "one_column | {'instances':[{'x':1}]}                  | {'predictions':[[-1.0]]}",
        "one_column | {'inputs':{'x':[1,2]}}                   | {'outputs':[[-1.0],[-2.0]]}",
        "optional | {'instances':[1,2]}                    | {'predictions':[101.0,102.0]}",
        "optional | {'inputs':{'x':[1,2],'bias':[1]}}      | {'outputs':[2.0,3.0]}",
        // Texts.
        "text  | {'instances':['a','né','\\u20ac \\n']}    | {'predictions':['a','né','€ \\n']}",
        "text  | {'instances':[{'b64':'YWI='},'c']}        | {'predictions':['ab','c']}",
        "text  | {'instances':[{'b64':'YWI'}]}             | {'predictions':['ab']}",
        "text  | {'instances':[{'t':{'b64':'YQ=='}}]}      | {'predictions':['a']}",
        "text  | {'inputs':[{'b64':'/w=='}]}               | {'outputs':[{'b64':'/w=='}]}",
        "bytes | {'instances':['a','','abcd']}             | {'predictions':[{'b64':'YQ=='},{'b64':''},{'b64':'YWJjZA=='}]}",
        // Datatypes.
        "same_BOOL   | {'instances':[[true,false]]}        | {'predictions':[[true,false]]}",
        "same_UINT64 | {'instances':[[18446744073709551615]]} | {'predictions':[[18446744073709551615]]}",
        "same_INT64  | {'instances':[[-9223372036854775808]]} | {'predictions':[[-9223372036854775808]]}",
        "same_FP64   | {'instances':[[0.1,1e300,16777217]]} | {'predictions':[[0.1,1.0E300,1.6777217E7]]}",
        "same_FP32   | {'instances':[[0.1,16777215,3e38]]} | {'predictions':[[0.1,1.6777215E7,3.0E38]]}",
        "same_FP16   | {'instances':[[0.1,65504,NaN]]}     | {'predictions':[[0.099975586,65504.0,NaN]]}",
        "same_BF16   | {'instances':[[0.1,1,-Infinity]]}   | {'predictions':[[0.100097656,1.0,-Infinity]]}",
        // Models that declare nothing.
        "script | {'instances':[1, {'a' : [true]}, 'x', null, 1e5]} | {'predictions':[[1],[{'a' : [true]}],['x'],[null],[1e5]]}",
        "script | {'inputs':[[0.50]],'parameters':{'a':1}} | {'predictions':[[[0.50]]]}",
      })
  void predict_answersInTheFormOfTheRequest(String model, String request, String answer)
      throws IOException {
    assertJson(server.predict(model, request), answer);
  }

  @ParameterizedTest
  @CsvSource({
    "/v1/models/half_plus_two:predict",
    "/v1/models/half_plus_two/versions/2:predict",
    "/v1/models/half_plus_two/versions/012:predict",
    "/v1/models/half_plus_two/labels/stable:predict",
    "/v1/models/half_plus_two/labels/canary:predict?some=thing"
  })
  void predict_reachesVersionsAndLabels(String path) throws IOException {
    assertJson(server.post(path, "{'instances':[2]}"), "{'predictions':[3.0]}");
  }

  @Test
  void predict_ofLargeBodies_goesThroughTheWorkers() throws IOException {
    StringBuilder rows = new StringBuilder("0");
    StringBuilder halves = new StringBuilder("2.0");
    for (int i = 1; i < 40_000; i++) {
      rows.append(",").append(i);
      halves.append(',').append(i / 2f + 2);
    }
    assertJson(
        server.predict("half_plus_two", "{'inputs':[" + rows + "]}"),
        "{'outputs':[" + halves + "]}");
  }

  @Test
  void gzip_isAccepted() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
      gzip.write("{\"instances\":[1]}".getBytes(StandardCharsets.UTF_8));
    }
    assertJson(
        server.postBytes(
            "/v1/models/half_plus_two:predict", bytes.toByteArray(), "Content-Encoding: gzip"),
        "{'predictions':[2.5]}");
  }

  @Test
  void requestId_goesBack() throws IOException {
    Response response =
        server.post("/v1/models/half_plus_two:predict", "{'instances':[1]}", "x-request-id: abc 1");
    assertThat(response.header("X-Request-Id")).isEqualTo("abc 1");
  }

  @Test
  void batchKeys_areThoseOfKservesBatcher(@TempDir Path directory) throws IOException {
    FunctionBackend.repository(directory);
    try (V1Fixture batching = new V1Fixture(directory, new V1Config(true))) {
      String path = "/v1/models/half_plus_two:predict";
      assertJson(
          batching.post(path, "{'instances':[1]}", "x-request-id: abc"),
          "{'message':'','batchId':'abc','predictions':[2.5]}");
      assertJson(batching.post(path, "{'inputs':[1]}"), "{'outputs':[2.5]}");
    }
  }

  @Test
  void parametersAndHeaders_reachTheSteps() throws IOException {
    Response response =
        server.post(
            "/v1/models/half_plus_two:predict",
            "{'parameters':{'a':1,'b':1.5,'c':'x','d':true,'e':[1, {}],'f':null,'header.x':2},'instances':[1]}",
            "X-Tenant: me",
            "X-Tenant: you",
            "Connection: keep-alive");
    assertThat(response.status()).isEqualTo(200);
    assertThat(server.lastParameters().asMap())
        .isEqualTo(
            Map.of(
                "a", 1L,
                "b", 1.5,
                "c", "x",
                "d", true,
                "e", "[1, {}]",
                "header.:protocol", "v1",
                "header.host", "h",
                "header.x-tenant", "me, you"));
    assertThat(
            server
                .post("/v1/models/half_plus_two:regress", "{'examples':[{'x':1}]}", "X-Tenant: me")
                .status())
        .isEqualTo(200);
    assertThat(server.lastParameters().asMap()).containsEntry("header.x-tenant", "me");
  }

  @Test
  void list_hasTheModelsForKserveAndForOpenAi() throws IOException {
    Response response = server.get("/v1/models");
    assertThat(response.status()).isEqualTo(200);
    assertThat(response.body())
        .startsWith("{\"models\":[\"bytes\",\"classifier\",\"half_plus_two\",")
        .contains("],\"object\":\"list\",\"data\":[{\"id\":\"bytes\",\"object\":\"model\",")
        .containsPattern("\"created\":1\\d{9},\"owned_by\":\"millrace\"");
  }

  @Test
  void status_isKservesAndTensorFlowServings() throws IOException {
    Response response = server.get("/v1/models/pair");
    assertThat(response.status()).isEqualTo(200);
    assertThat(response.body())
        .startsWith(
            "{'name':'pair','ready':true,'model_version_status':[{'version':'1','state':'AVAILABLE','status':{'error_code':'OK','error_message':''}}],'id':'pair','object':'model','created':"
                .replace('\'', '"'));
  }

  @Test
  void status_ofVersions_isTensorFlowServings() throws IOException {
    String two =
        "{'model_version_status':[{'version':'2','state':'AVAILABLE','status':{'error_code':'OK','error_message':''}}]}";
    assertJson(server.get("/v1/models/half_plus_two/versions/2"), two);
    assertJson(server.get("/v1/models/half_plus_two/versions/002"), two);
    assertJson(server.get("/v1/models/half_plus_two/labels/stable"), two);
    assertError(
        server.get("/v1/models/half_plus_two/versions/3"),
        404,
        "Could not find version 3 of model half_plus_two");
    assertError(server.get("/v1/models/x"), 404, "Could not find any versions of model x");
    assertError(
        server.get("/v1/models/half_plus_two/labels/blue"),
        400,
        "Unrecognized servable version label: blue");
  }

  @Test
  void status_ofAnUnloadedModel_is503ForProbes() throws IOException {
    server.models().models().unload("scores").join();
    try {
      Response response = server.get("/v1/models/scores");
      assertThat(response.status()).isEqualTo(503);
      assertThat(response.body())
          .startsWith("{\"name\":\"scores\",\"ready\":false,")
          .contains("\"state\":\"END\",\"status\":{\"error_code\":\"OK\"");
      assertThat(server.get("/v1/models/scores/versions/1").status()).isEqualTo(200);
      assertError(
          server.predict("scores", "{'instances':[[1,2]]}"),
          404,
          "Servable not found for request: Latest(scores)");
    } finally {
      server.models().models().load("scores", Map.of()).join();
    }
  }

  @Test
  void metadata_isTensorFlowServings() throws IOException {
    assertJson(
        server.get("/v1/models/half_plus_two/metadata"),
        "{'model_spec':{'name':'half_plus_two','signature_name':'','version':'12'},"
            + "'metadata':{'signature_def':{'signature_def':{'serving_default':{"
            + "'inputs':{'x':{'dtype':'DT_FLOAT','tensor_shape':{'dim':[{'size':'-1','name':''}],'unknown_rank':false},'name':'x'}},"
            + "'outputs':{'y':{'dtype':'DT_FLOAT','tensor_shape':{'dim':[{'size':'-1','name':''}],'unknown_rank':false},'name':'y'}},"
            + "'method_name':'tensorflow/serving/predict','defaults':{}}}}}}");
    assertThat(server.get("/v1/models/half_plus_two/versions/2/metadata").body())
        .contains("\"version\":\"2\"");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "classifier:classify | {'examples':[{'x':[1,3]},{'x':[2.0,2.0]}]} | {'results':[[['cat',0.25],['dog',0.75]],[['cat',0.5],['dog',0.5]]]}",
        "scores:classify | {'examples':[{'x':[1,3],'other':'z'}]}     | {'results':[[['0',0.25],['1',0.75]]]}",
        "half_plus_two:regress | {'examples':[{'x':1},{'x':[2]}]}     | {'results':[2.5,3.0]}",
        "half_plus_two:classify | {'examples':[{'x':1}]}              | {'results':[[['0',2.5]]]}",
        "half_plus_two:regress | {'examples':[{},{},{}],'context':{'x':1}} | {'results':[2.5,2.5,2.5]}",
        "scores:classify | {'signature_name':'serving_default','context':{'x':[4,8]},'examples':[{}]} | {'results':[[['0',1.0],['1',2.0]]]}",
        "half_plus_two/versions/2:regress | {'examples':[{'x':1}]}    | {'results':[2.5]}",
        "half_plus_two/labels/canary:classify | {'examples':[{'x':1}]} | {'results':[[['0',2.5]]]}",
      })
  void classifyAndRegress_mapFeaturesToInputs(String path, String request, String answer)
      throws IOException {
    assertJson(server.post("/v1/models/" + path, request), answer);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "404 | x:predict                 | {'instances':[1]} | Servable not found for request: Latest(x)",
        "404 | half_plus_two/versions/9:predict | {'instances':[1]} | Servable not found for request: Specific(half_plus_two, 9)",
        "404 | half_plus_two/labels/gone:predict | {'instances':[1]} | Servable not found for request: Specific(half_plus_two, 9)",
        "400 | half_plus_two/labels/blue:predict | {'instances':[1]} | Unrecognized servable version label: blue",
        "400 | half_plus_two/versions/1x:predict | {'instances':[1]} | Malformed request: the version '1x' is not a number",
        "501 | half_plus_two:explain     | {'instances':[1]} | Model with name half_plus_two does not support explain",
        "400 | half_plus_two:regress     | {'examples':1}    | JSON Value: 1 Expecting 'examples' value to be an list/array",
        "400 | half_plus_two:regress     | {'examples':[]}   | 'examples' value is an empty array",
        "400 | half_plus_two:regress     | {'example':[]}    | When method is classify, key 'examples' is expected and was not found",
        "400 | half_plus_two:regress     | {'examples':[1]}  | Example must be JSON object but got JSON Number",
        "400 | half_plus_two:regress     | {'examples':[{}]} | Feature: x is required but could not be found in every example.",
        "400 | half_plus_two:regress     | {'examples':[{},{'x':1}]} | Feature: x is required but could not be found in every example.",
        "400 | half_plus_two:regress     | {'examples':[{'x':1},{'x':[1,2]}]} | Feature: x has 2 values in example 1, expected 1 as in example 0",
        "400 | half_plus_two:regress     | {'examples':[{'x':[1,2]}]} | Feature: x has 2 values in an example, which do not make a row of [-1]",
        "400 | half_plus_two:regress     | {'examples':[{'x':[[1]]}]} | Feature: x has element with unexpected JSON type: Array",
        "400 | half_plus_two:regress     | {'examples':[{'x':null}]} | Feature: x has element with unexpected JSON type: Null",
        "400 | half_plus_two:regress     | {'context':{'x':1},'examples':[{'x':1}]} | Feature: x is twice in an example and its context",
        "400 | half_plus_two:regress     | {'examples':[{'x':'a'}]} | JSON Value: \"a\" Type: String is not of expected type: float",
        "400 | scalars:regress           | {'examples':[{'x':1}]} | input 'x' has no dimension for examples: it is a scalar",
        "400 | script:regress            | {'examples':[{'x':1}]} | model 'script' declares no inputs that features could be",
        "400 | scores:regress            | {'examples':[{'x':[1,2]}]} | the model gives no regression: regress takes an output 'outputs', or a single one, of floating-point numbers of shape [examples] or [examples, 1]; it gives {scores=FP32[1,2]}",
        "400 | text:classify             | {'examples':[{'t':'a'}]} | the model gives no scores: classify takes an output 'scores', or a single one of floating-point numbers, of shape [examples, classes]; it gives {same=BYTES[1]}",
        "500 | no_json:predict           | {'instances':[1]} | an element of output 'predictions' is not one JSON value",
        "400 | scalars:predict           | {'instances':[1]} | [request id: <id_unknown>] unexpected shape for input 'x' for model 'scalars'. Expected [], got [1].",
        "400 | scalars:predict           | {'inputs':[1]}    | [request id: <id_unknown>] unexpected shape for input 'x' for model 'scalars'. Expected [], got [1].",
      })
  void mistakes_getTheStatusAndTheText(int status, String path, String request, String message)
      throws IOException {
    assertError(server.post("/v1/models/" + path, request), status, message);
  }

  @Test
  void otherMethods_areRefused() throws IOException {
    assertThat(server.get("/v1/models/half_plus_two:predict").status()).isEqualTo(405);
    assertThat(server.post("/v1/models/half_plus_two", "{}").status()).isEqualTo(405);
    assertThat(server.get("/v1/other").status()).isEqualTo(404);
  }

  @ParameterizedTest
  @CsvSource({
    "/v1/models/%zz:predict, 400",
    "/v1/models/%:predict, 400",
    "/v1/models/half_plus_two/versions/99999999999999999999:predict, 404",
    "/v1/models/half_plus_two/versions/-1:predict, 400",
    "/v1/models/half_plus_two/versions/:predict, 405",
    "/v1/models/:predict, 405",
    "/v1/models//half_plus_two:predict, 404",
    "/v1/models/half_plus_two:predict:predict, 404",
    "/v1/models/half_plus_two/labels/%20:predict, 400",
  })
  void paths_thatNameNothing_areRefused(String path, int status) throws IOException {
    var response = server.post(path, "{'instances':[1]}");

    assertThat(response.status()).as(response.body()).isEqualTo(status);
    assertThat(response.body()).startsWith("{\"error\":\"");
  }

  @Test
  void bodies_thatAreNoText_areRefused() throws IOException {
    byte[] notUtf8 =
        "{\"instances\":[\"\u00ff\"]}".getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
    byte[] utf16 = "{\"instances\":[1]}".getBytes(java.nio.charset.StandardCharsets.UTF_16BE);
    byte[] zeros = new byte[64];
    byte[] noOrderOfBytes = {0, 0, '{', 0, 0, 0, '}', 0};
    for (byte[] body : new byte[][] {notUtf8, utf16, zeros, noOrderOfBytes, {}}) {
      for (String path : new String[] {"text:predict", "half_plus_two:regress"}) {
        var response = server.postBytes("/v1/models/" + path, body);
        assertThat(response.status()).as(response.body()).isEqualTo(400);
      }
    }
    String predict = "/v1/models/half_plus_two:predict";
    assertThat(server.postBytes(predict, noOrderOfBytes).status()).isEqualTo(400);
    assertThat(server.postBytes(predict, zeros, "Content-Encoding: gzip").status()).isEqualTo(400);
    assertThat(server.postBytes(predict, zeros, "Content-Encoding: br").status()).isEqualTo(501);
    assertThat(
            server.post(predict, "{'instances':[1]}", "X-Request-Id: " + "x".repeat(5000)).status())
        .isEqualTo(400);
  }
}
