package dev.millrace.server.v1;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import dev.millrace.server.fuzz.Mutations;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.TensorLeakExtension;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class PredictBadRequestTest {
  private static final ModelMetadata ONE = model(new TensorSpec("x", DataType.FP32, Shape.of(-1)));
  private static final ModelMetadata TEXT =
      model(new TensorSpec("t", DataType.BYTES, Shape.of(-1)));
  private static final ModelMetadata BYTE = model(new TensorSpec("i", DataType.INT8, Shape.of(-1)));
  private static final ModelMetadata TWO =
      model(
          new TensorSpec("a", DataType.INT32, Shape.of(-1, 2)),
          new TensorSpec("b", DataType.BOOL, Shape.of(-1)));
  private static final ModelMetadata NONE = model();

  private static ModelMetadata model(TensorSpec... inputs) {
    return new ModelMetadata(ModelId.latest("m"), "test", List.of(inputs), List.of(), 0, Map.of());
  }

  private static ModelMetadata model(String name) {
    return switch (name) {
      case "ONE" -> ONE;
      case "TEXT" -> TEXT;
      case "BYTE" -> BYTE;
      case "TWO" -> TWO;
      default -> NONE;
    };
  }

  private static @Nullable InferenceException refuse(ModelMetadata model, byte[] body) {
    ByteBuf bytes = ByteBufAllocator.DEFAULT.directBuffer().writeBytes(body);
    try {
      return catchThrowableOfType(
          InferenceException.class,
          () -> PredictReader.read("", model.id(), model, bytes).inference().close());
    } finally {
      assertThat(bytes.refCnt()).isEqualTo(1);
      bytes.release();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "ONE  | ``                              | JSON Parse error: The document is empty",
        "ONE  | []                              | JSON Value: […] Is not object",
        "ONE  | 1                               | JSON Value: 1 Is not object",
        "ONE  | {}                              | Missing 'inputs' or 'instances' key",
        "ONE  | {'instances':[1],'inputs':[1]}  | Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        "ONE  | {'instances':[1],'instances':[1]} | Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        "ONE  | {'instances':1}                 | JSON Value: 1 Expecting 'instances' to be an list/array",
        "ONE  | {'instances':{}}                | JSON Value: {…} Expecting 'instances' to be an list/array",
        "ONE  | {'instances':[]}                | No values in 'instances' array",
        "ONE  | {'instances':['a']}             | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 'a' Type: String is not of expected type: float",
        "ONE  | {'instances':[1,null]}          | Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: float",
        "ONE  | {'instances':[true]}            | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: true Type: True is not of expected type: float",
        "ONE  | {'instances':[1e39]}            | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Cannot convert JSON value: 1e39 to float without loss of precision.",
        "ONE  | {'inputs':[16777217]}           | Cannot convert JSON value: 16777217 to float without loss of precision.",
        "ONE  | {'inputs':[99999999999999999999]} | Cannot convert JSON value: 99999999999999999999 to float without loss of precision.",
        "ONE  | {'instances':[1,[2]]}           | Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] but got: [1]",
        "ONE  | {'instances':[[1],[2,3]]}       | Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 1 but got: 2",
        "ONE  | {'inputs':[[1],[2,3]]}          | Encountered list at unexpected size: 2 at level: 1 expected size: 1",
        "ONE  | {'inputs':[1,[2]]}              | Encountered list at unexpected level: 1 expected < 1",
        "ONE  | {'inputs':[[1],2]}              | JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        "ONE  | {'inputs':{}}                   | Missing named input: x in 'inputs' object.",
        "ONE  | {'inputs':{'y':1}}              | Missing named input: x in 'inputs' object.",
        "ONE  | {'inputs':{'x':1,'x':1}}        | input 'x' is twice in 'inputs' object.",
        "ONE  | {'inputs':{'b64':'YQ=='}}       | Missing named input: x in 'inputs' object.",
        "ONE  | {'instances':[{}]}              | Failed to process element: 0 of 'instances' list. JSON object: keys must be equal to: x",
        "ONE  | {'instances':[{'y':1}]}         | Failed to process element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: y",
        "ONE  | {'instances':[{'x':1},2]}       | Expecting object but got list at item 1 of input list",
        "ONE  | {'instances':[1,{'x':2}]}       | Expecting value/list but got object at item 1 of input list",
        "ONE  | {'instances':[[{'x':1}]]}       | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: {…} Type: Object is not of expected type: float",
        "ONE  | {'signature_name':'x','instances':[1]} | Serving signature name: 'x' not found in signature def",
        "ONE  | {'instances':[1],'signature_name':'x'} | Serving signature name: 'x' not found in signature def",
        "ONE  | {'instances':[1],'signature_name':1} | JSON Value: 1 not formatted correctly. 'signature_name' key must be a string value.",
        "ONE  | {'instances':[1],'parameters':[]} | JSON Value: […] not formatted correctly. 'parameters' must be an object.",
        "BYTE | {'instances':[1.0]}             | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 1.0 Type: Number is not of expected type: int8",
        "BYTE | {'instances':[128]}             | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 128 Type: Number is not of expected type: int8",
        "TEXT | {'instances':[1]}               | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 1 Type: Number is not of expected type: string",
        "TEXT | {'instances':[{'b64':'§'}]}     | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Unable to base64 decode",
        "TEXT | {'instances':[{'b64':1}]}       | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: {…} not formatted correctly for base64 data",
        "TEXT | {'instances':[{'b64':'YQ==','t':1}]} | Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: {…} not formatted correctly for base64 data",
        "TEXT | {'inputs':[[{'b65':''}]]}       | JSON Value: {…} not formatted correctly for base64 data",
        "TEXT | {'inputs':['\\ud800']}          | JSON Parse error: a string for 't' holds half of a surrogate pair",
        "TWO  | {'instances':[1]}               | instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
        "TWO  | {'inputs':[1]}                  | inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map",
        "TWO  | {'instances':[{'a':[1,2]}]}     | Failed to process element: 0 of 'instances' list. JSON object: keys must be equal to: a,b",
        "TWO  | {'instances':[{'a':[1,2],'b':true},{'b':true}]} | Failed to process element: 1 of 'instances' list. JSON object: keys must be equal to: a,b",
        "TWO  | {'instances':[{'a':[1,2],'a':[1,2]}]} | Failed to process element: 0 key: a of 'instances' list. Error: INVALID_ARGUMENT: the key is there twice",
        "TWO  | {'inputs':{'a':[[1,2]]}}        | Missing named input: b in 'inputs' object.",
        "TWO  | {'inputs':{'a':[[1,2]],'b':[1]}} | JSON Value: 1 Type: Number is not of expected type: bool",
        "NONE | {'instances':[]}                | No values in 'instances' array",
        "NONE | {'inputs':1}                    | Expected 'inputs' to be a list",
      })
  void mistake_isNamed(String model, String body, String message) {
    InferenceException refused =
        requireNonNull(refuse(model(model), body.replace('\'', '"').getBytes(UTF_8)), body);
    assertThat(refused.getMessage().replace('"', '\'')).isEqualTo(message);
    assertThat(refused.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"instances\":[1",
        "{\"instances\":[1}",
        "{\"instances\":[1]",
        "{\"instances\":[01]}",
        "{\"instances\":[{\"x\":1]}",
        "{\"instances\"",
        "{instances:[1]}",
        "{\"instances\":[\"",
        "nothing",
      })
  void textThatIsNoJson_isAParseError(String body) {
    for (String model : new String[] {"ONE", "TEXT", "TWO", "NONE"}) {
      InferenceException refused = requireNonNull(refuse(model(model), body.getBytes(UTF_8)), body);
      assertThat(refused.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
    }
    assertThat(requireNonNull(refuse(NONE, body.getBytes(UTF_8))).getMessage())
        .startsWith("JSON Parse error: ");
  }

  @Test
  void nesting_isLimited() {
    for (String model : new String[] {"ONE", "TEXT", "NONE"}) {
      String deep = "{\"instances\":[" + "[".repeat(100_000) + "]".repeat(100_000) + "]}";
      assertThat(requireNonNull(refuse(model(model), deep.getBytes(UTF_8))).code())
          .isEqualTo(ErrorCode.INVALID_ARGUMENT);
    }
    String tooManyDimensions = "{\"inputs\":" + "[".repeat(70) + "1" + "]".repeat(70) + "}";
    assertThat(requireNonNull(refuse(ONE, tooManyDimensions.getBytes(UTF_8))).getMessage())
        .contains("at most 64 dimensions");
  }

  @Test
  void parameters_areLimited() {
    StringBuilder body = new StringBuilder("{\"parameters\":{");
    for (int i = 0; i < 1025; i++) {
      body.append(i == 0 ? "" : ",").append('"').append(i).append("\":1");
    }
    body.append("},\"instances\":[1]}");
    assertThat(requireNonNull(refuse(ONE, body.toString().getBytes(UTF_8))).getMessage())
        .isEqualTo("more than 1024 parameters in a request");
  }

  @Test
  void utf16_isRefusedWhereTextsAreCopied() {
    byte[] body = "{\"instances\":[1]}".getBytes(java.nio.charset.StandardCharsets.UTF_16);
    assertThat(requireNonNull(refuse(NONE, body)).code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
  }

  @Test
  void contextIsNotRepeatedWithoutBound() {
    String body =
        "{\"context\":{\"t\":\""
            + "x".repeat(1 << 20)
            + "\"},\"examples\":["
            + "{},".repeat(99)
            + "{}]}";
    ByteBuf bytes = ByteBufAllocator.DEFAULT.directBuffer().writeBytes(body.getBytes(UTF_8));
    InferenceException refused =
        catchThrowableOfType(
            InferenceException.class,
            () -> ExamplesReader.read("", TEXT.id(), Signatures.of(TEXT), bytes).close());
    bytes.release();
    assertThat(refused.getMessage())
        .isEqualTo(
            "Feature: t of the context is too large for 100 examples: more than 67108864 bytes");
  }

  @Test
  void mangledRequests_areTheClientsFault() {
    String[] bodies = {
      "{\"instances\":[1.5,-2,3e4,NaN],\"signature_name\":\"\",\"parameters\":{\"a\":[1]}}",
      "{\"instances\":[{\"a\":[1,2],\"b\":true},{\"a\":[3,4],\"b\":false}]}",
      "{\"inputs\":{\"a\":[[1,2],[3,4]],\"b\":[true,false]},\"x\":{}}",
      "{\"instances\":[\"a\",{\"b64\":\"YWI=\"},\"\\u00e9\"],\"parameters\":{}}",
      "{\"context\":{\"x\":1},\"examples\":[{\"x\":[1]},{\"t\":\"a\"}]}",
    };
    Random random = new Random(7);
    ModelMetadata[] models = {ONE, TEXT, BYTE, TWO, NONE};
    for (int i = 0; i < 20_000; i++) {
      byte[] body = Mutations.of(bodies[i % bodies.length].getBytes(UTF_8), random);
      ModelMetadata model = models[random.nextInt(models.length)];
      requireClientsFault(refuse(model, body), body);
      requireClientsFault(refuseExamples(model, body), body);
    }
  }

  private static @Nullable InferenceException refuseExamples(ModelMetadata model, byte[] body) {
    ByteBuf bytes = ByteBufAllocator.DEFAULT.directBuffer().writeBytes(body);
    try {
      return catchThrowableOfType(
          InferenceException.class,
          () -> ExamplesReader.read("", model.id(), Signatures.of(model), bytes).close());
    } finally {
      bytes.release();
    }
  }

  /** Some are still fine; the others are the client's fault, never the server's. */
  private static void requireClientsFault(@Nullable InferenceException refused, byte[] body) {
    if (refused != null) {
      assertThat(refused.code()).as(new String(body, UTF_8)).isEqualTo(ErrorCode.INVALID_ARGUMENT);
    }
  }
}
