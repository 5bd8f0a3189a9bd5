package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SampleRequestTest {
  private static final TensorSpec OUTPUT = new TensorSpec("OUT", DataType.FP32, Shape.of(-1));

  private static ModelMetadata model(TensorSpec output, TensorSpec... inputs) {
    return new ModelMetadata(
        new ModelId("it's a/model", "1"), "p", List.of(inputs), List.of(output), 8, Map.of());
  }

  @Test
  void smallInputs_areJson() {
    SampleRequest request =
        SampleRequest.of(
            model(
                OUTPUT,
                new TensorSpec("A", DataType.BOOL, Shape.of(-1, 2)),
                new TensorSpec("B", DataType.BYTES, Shape.scalar()),
                new TensorSpec("C", DataType.FP32, Shape.of(1, 3)),
                new TensorSpec("D", DataType.INT64, Shape.of(-1), true)));

    assertThat(request.json())
        .isEqualTo(
            """
            {"inputs":[{"name":"A","datatype":"BOOL","shape":[1,2],"data":[true,true]},\
            {"name":"B","datatype":"BYTES","shape":[],"data":["text"]},\
            {"name":"C","datatype":"FP32","shape":[1,3],"data":[1.0,1.0,1.0]}]}\
            """);
    assertThat(request.zeros()).isZero();
    assertThat(request.curl("http://h:1"))
        .startsWith("curl http://h:1/v2/models/it%27s%20a%2Fmodel/infer \\\n")
        .doesNotContain("--output");
  }

  @Test
  void modelWithoutInputs_isSentATextByV1_andALanguageModelAMessage() {
    SampleRequest script = SampleRequest.of(model(OUTPUT));
    assertThat(script.path()).isEqualTo("/v1/models/it%27s%20a%2Fmodel:predict");
    assertThat(script.json()).isEqualTo("{\"instances\":[\"text\"]}");
    SampleRequest chat = SampleRequest.chat("a \"model\"");
    assertThat(chat.path()).isEqualTo("/v1/chat/completions");
    assertThat(chat.json())
        .isEqualTo(
            """
            {"model":"a \\"model\\"","messages":[{"role":"user","content":"text"}]}\
            """);
  }

  @Test
  void longInputsAndThoseThatJsonCannotCarry_areZerosInTheBinaryForm() {
    SampleRequest request =
        SampleRequest.of(
            model(
                new TensorSpec("OUT", DataType.FP16, Shape.of(-1)),
                new TensorSpec("IMAGE", DataType.FP32, Shape.of(-1, 3, 224, 224)),
                new TensorSpec("HALF", DataType.BF16, Shape.of(2))));

    assertThat(request.json())
        .isEqualTo(
            """
            {"inputs":[{"name":"IMAGE","datatype":"FP32","shape":[1,3,224,224],\
            "parameters":{"binary_data_size":602112}},\
            {"name":"HALF","datatype":"BF16","shape":[2],"parameters":{"binary_data_size":4}}],\
            "parameters":{"binary_data_output":true}}\
            """);
    assertThat(request.zeros()).isEqualTo(602_116);
    assertThat(request.curl("http://h:1"))
        .contains("head -c 602116 /dev/zero")
        .contains("Inference-Header-Content-Length: " + request.json().length())
        .endsWith("--output answer.bin");
  }
}
