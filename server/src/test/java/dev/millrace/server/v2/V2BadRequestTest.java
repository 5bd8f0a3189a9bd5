package dev.millrace.server.v2;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.TensorLeakExtension;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class V2BadRequestTest {
  private static final String FINE =
      "{'name':'f','shape':[2],'datatype':'INT32','data':[1,2]}".replace('\'', '"');

  private final V2RequestReader reader =
      new V2RequestReader(id -> {
        throw InferenceException.notFound("no metadata");
      });

  private @Nullable InferenceException refuse(String body, @Nullable String headerLength) {
    ByteBuf bytes = ByteBufAllocator.DEFAULT.directBuffer();
    bytes.writeCharSequence(body, UTF_8);
    try {
      return catchThrowableOfType(
          InferenceException.class,
          () -> reader.read(ModelId.latest("m"), bytes, headerLength).inference().close());
    } finally {
      assertThat(bytes.refCnt()).isEqualTo(1);
      bytes.release();
    }
  }

  private void assertRefused(
      String body, @Nullable String headerLength, ErrorCode code, String message) {
    InferenceException refused = requireNonNull(refuse(body, headerLength), body);
    assertThat(refused.getMessage()).isEqualTo(message);
    assertThat(refused.code()).isEqualTo(code);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[]                          | failed to parse the request JSON buffer: expected an object at 0",
        "{                           | failed to parse the request JSON buffer: Unexpected end-of-input: expected close marker for Object at 1",
        "{'inputs':[}                | failed to parse the request JSON buffer: Unexpected close marker '}': expected ']' at 11",
        "{'inputs':[]} 1             | failed to parse the request JSON buffer: there is more behind the object at 14",
        "{'id':1,'inputs':[]}        | Unable to parse 'id': attempt to access JSON non-string as string",
        "{}                          | Unable to parse 'inputs': attempt to access non-existing object member 'inputs'",
        "{'inputs':{}}               | Unable to parse 'inputs': attempt to access JSON non-array as array",
        "{'inputs':[1]}              | Unable to parse 'inputs': attempt to access JSON non-object as object",
        "{'inputs':[],'outputs':1}   | Unable to parse 'outputs': attempt to access JSON non-array as array",
        "{'inputs':[],'outputs':[{}]} | Unable to parse 'outputs': attempt to access non-existing object member 'name'",
        "{'inputs':[],'outputs':[{'name':'a'},{'name':'a'}]} | output 'a' already exists in request",
        "{'inputs':[],'outputs':[{'name':'a','parameters':{'binary_data':1}}]} | Unable to parse 'binary_data': attempt to access JSON non-boolean as boolean",
        "{'parameters':1,'inputs':[]} | Unable to parse 'parameters': attempt to access JSON non-object as object",
        "{'parameters':{'x':[]},'inputs':[]} | parameter 'x' must be a string, a boolean or a number",
        "{'parameters':{'binary_data_output':'x'},'inputs':[]} | Unable to parse 'binary_data_output': attempt to access JSON non-boolean as boolean",
        "{'parameters':{'triton_x':1},'inputs':[]} | parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
      })
  void request_thatIsWrong_isRefused(String body, String message) {
    assertRefused(body.replace('\'', '"'), null, ErrorCode.INVALID_ARGUMENT, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'shape':[1],'datatype':'INT32','data':[1] | Unable to parse 'inputs': attempt to access non-existing object member 'name'",
        "'name':'x','datatype':'INT32','data':[1] | Unable to parse 'inputs': attempt to access non-existing object member 'shape'",
        "'name':'x','shape':[1],'data':[1] | Unable to parse 'inputs': attempt to access non-existing object member 'datatype'",
        "'name':1,'shape':[1],'datatype':'INT32','data':[1] | Unable to parse 'name': attempt to access JSON non-string as string",
        "'name':'f','shape':[1],'datatype':'INT32','data':[1] | input 'f' already exists in request",
        "'name':'x','shape':['1'],'datatype':'INT32','data':[1] | Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
        "'name':'x','shape':[-1],'datatype':'INT32','data':[1] | Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
        "'name':'x','shape':[1.5],'datatype':'INT32','data':[1] | Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
        "'name':'x','shape':1,'datatype':'INT32','data':[1] | Unable to parse 'shape': attempt to access JSON non-array as array",
        "'name':'x','shape':[4611686018427387904,4],'datatype':'INT32','data':[1] | shape [4611686018427387904, 4] has more elements than can be addressed",
        "'name':'x','shape':[99999999999999999999],'datatype':'INT32','data':[1] | Unable to parse 'shape': the number has more than 64 bits",
        "'name':'x','shape':[1],'datatype':'INT31','data':[1] | unknown datatype 'INT31', expected one of [BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64, BYTES]",
        "'name':'x','shape':[2],'datatype':'INT32','data':[1] | Failed to parse 'data' field: shape does not match true shape (input 'x': expected 2 elements, got 1)",
        "'name':'x','shape':[4000000000],'datatype':'INT32','data':[1] | Failed to parse 'data' field: shape does not match true shape (input 'x': expected 4000000000 elements, got fewer)",
        "'name':'x','shape':[1],'datatype':'INT32','data':[1,2] | Unable to parse 'data': Shape does not match true shape of 'data' field (input 'x': expected 1 elements, got more)",
        "'name':'x','shape':[1],'datatype':'INT32','data':1 | Unable to parse 'data': attempt to access JSON non-array as array (input 'x')",
        "'name':'x','shape':[1],'datatype':'INT32','data':[1.0] | Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'INT32','data':['1'] | Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'INT32','data':[null] | Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer (input 'x', element 0)",
        "'name':'x','shape':[2],'datatype':'INT8','data':[1,128] | Unable to parse 'data': value 128 is out of range for INT8 (input 'x', element 1)",
        "'name':'x','shape':[1],'datatype':'UINT16','data':[-1] | Unable to parse 'data': value -1 is out of range for UINT16 (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'UINT32','data':[4294967296] | Unable to parse 'data': value 4294967296 is out of range for UINT32 (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'INT64','data':[9223372036854775808] | Unable to parse 'data': value 9223372036854775808 is out of range for INT64 (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'UINT64','data':[18446744073709551616] | Unable to parse 'data': value 18446744073709551616 is out of range for UINT64 (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'UINT64','data':[-1] | Unable to parse 'data': value -1 is out of range for UINT64 (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'FP32','data':[1e39] | Unable to parse 'data': value 1e39 is out of range for FP32 (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'FP64','data':[true] | Unable to parse 'data': attempt to access JSON non-number as number (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'BOOL','data':[1] | Unable to parse 'data': attempt to access JSON non-boolean as boolean (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'BYTES','data':[1] | Unable to parse 'data': attempt to access JSON non-string as string (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'BYTES','data':['\\ud800'] | Unable to parse 'data': a string holds half of a surrogate pair (input 'x', element 0)",
        "'name':'x','shape':[1],'datatype':'INT32','data':[{}] | Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer (input 'x', element 0)",
        "'data':[1,2],'name':'x','shape':[1],'datatype':'INT32' | Unable to parse 'data': Shape does not match true shape of 'data' field (input 'x': expected 1 elements, got more)",
        "'name':'x','shape':[1],'datatype':'FP16','data':[1] | receiving FP16 data via JSON is not supported. Please use the binary data format for input 'x'",
        "'name':'x','shape':[1],'datatype':'INT32' | Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. But no field is set",
        "'name':'x','shape':[1],'datatype':'INT32','data':[1],'parameters':{'binary_data_size':4} | Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. But set 'data' 'binary_data_size'",
        "'name':'x','shape':[1],'datatype':'INT32','parameters':{'binary_data_size':4} | unexpected size for input 'x', expecting 4 additional bytes for model 'm'",
        "'name':'x','shape':[1],'datatype':'INT32','parameters':{'binary_data_size':-4} | Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer as unsigned-integer",
        "'name':'x','shape':[1],'datatype':'INT32','parameters':{'binary_data_size':'4'} | Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer as unsigned-integer",
      })
  void input_thatIsWrong_isRefused(String input, String message) {
    String body = "{\"inputs\":[" + FINE + ",{" + input.replace('\'', '"') + "}]}";
    assertRefused(body, null, ErrorCode.INVALID_ARGUMENT, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "INT32 | 4 | 4 | 5 | unexpected additional input data for model 'm'",
        "INT32 | 8 | 8 | 8 | input byte size mismatch for input 'x' for model 'm'. Expected 4, got 8",
        "INT32 | 4 | 4 | 3 | unexpected size for input 'x', expecting 1 additional bytes for model 'm'",
        "INT32 | 99999999999 | 0 | 9 | unexpected size for input 'x', expecting 99999999990 additional bytes for model 'm'",
        "BYTES | 0 | 0 | 0 | expected 1 string elements for inference input 'x' for model 'm', got 0",
        "BYTES | 8 | 8 | 8 | unexpected number of string elements 2 for inference input 'x' for model 'm', expecting 1",
        "BYTES | 3 | 3 | 3 | element byte size indicator exceeds the end of the buffer for inference input 'x' for model 'm'",
      })
  void binaryInput_thatDoesNotAddUp_isRefused(
      String type, long announced, int unused, int sent, String message) {
    String json =
        "{\"inputs\":[%s,{\"name\":\"x\",\"shape\":[1],\"datatype\":\"%s\",\"parameters\":{\"binary_data_size\":%d}}]}"
            .formatted(FINE, type, announced);
    assertRefused(
        json + "\0".repeat(sent),
        Integer.toString(json.length()),
        ErrorCode.INVALID_ARGUMENT,
        message);
  }

  @ParameterizedTest
  @CsvSource({"-1", "17", "junk", "99999999999", "1.5"})
  void headerLength_thatIsWrong_isRefused(String length) {
    assertRefused(
        "{\"inputs\":[   ]}",
        length,
        ErrorCode.INVALID_ARGUMENT,
        "inference header size should be in range (0, 16), got: " + length);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'inputs':[{'name':'x','shape':[1],'datatype':'INT32','parameters':{'shared_memory_region':'r','shared_memory_byte_size':4}}]} | shared memory is not supported: it is off on this server (system-shared-memory)",
      })
  void extension_thatIsNotThere_isRefused(String body, String message) {
    assertRefused(body.replace('\'', '"'), null, ErrorCode.UNIMPLEMENTED, message);
  }

  /** It begins as a text in UTF-32 whose bytes are in an order that no machine has. */
  @Test
  void text_inNoEncoding_isRefused() {
    assertRefused(
        "\0\0{\0\0\0}\0",
        null,
        ErrorCode.INVALID_ARGUMENT,
        "failed to parse the request JSON buffer: Unsupported UCS-4 endianness (2143) detected");
  }

  @Test
  void nesting_isBounded() {
    for (String body :
        new String[] {
          "{\"x\":" + "[".repeat(100) + "]".repeat(100) + ",\"inputs\":[]}",
          "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"INT32\",\"data\":"
              + "[".repeat(1000),
          "{\"inputs\":[{\"data\":" + "[".repeat(100_000)
        }) {
      assertRefused(
          body,
          null,
          ErrorCode.INVALID_ARGUMENT,
          "JSON nesting depth exceeds maximum allowed limit (100)");
    }
  }

  @Test
  void counts_areBounded() {
    String inputs =
        IntStream.range(0, 1025)
            .mapToObj(i -> FINE.replace("\"f\"", "\"" + i + "\""))
            .collect(Collectors.joining(","));
    assertRefused(
        "{\"inputs\":[" + inputs + "]}",
        null,
        ErrorCode.INVALID_ARGUMENT,
        "more than 1024 inputs in a request");
    assertRefused(
        "{\"id\":\"" + "x".repeat(5000) + "\",\"inputs\":[]}",
        null,
        ErrorCode.INVALID_ARGUMENT,
        "the id has 5000 characters, at most 4096 are allowed");
    assertRefused(
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[" + "1,".repeat(64) + "1]}]}",
        null,
        ErrorCode.INVALID_ARGUMENT,
        "Unable to parse 'shape': it has more than 64 dimensions");
  }

  @Test
  void request_thatIsCutOffOrMangled_isRefusedAndLeaksNothing() {
    String good =
        "{\"id\":\"i\",\"parameters\":{\"p\":1},\"inputs\":["
            + FINE
            + ",{\"data\":[\"a\",\"b\"],\"name\":\"x\",\"shape\":[2],\"datatype\":\"BYTES\"}],\"outputs\":[{\"name\":\"o\"}]}";
    for (int length = 0; length < good.length(); length++) {
      String part = good.substring(0, length);
      InferenceException refused = requireNonNull(refuse(part, null), part);
      assertThat(refused.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
    }
    Random random = new Random(11);
    for (int round = 0; round < 20_000; round++) {
      StringBuilder mangled = new StringBuilder(good);
      for (int k = 1 + random.nextInt(3); k > 0; k--) {
        mangled.setCharAt(random.nextInt(mangled.length()), (char) (1 + random.nextInt(200)));
      }
      // Some are still fine; the others are the client's fault, never the server's.
      InferenceException refused = refuse(mangled.toString(), null);
      if (refused != null) {
        assertThat(refused.code()).as(mangled.toString()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
      }
    }
  }
}
