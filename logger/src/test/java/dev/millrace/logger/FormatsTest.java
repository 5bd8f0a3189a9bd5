package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger.InferenceRecord;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(TensorLeakExtension.class)
class FormatsTest {
  private static final Map<String, String> V1 = Map.of("header.:protocol", "v1");
  private final Records.Counts counts = new Records.Counts();

  private MessageEncoder encoder(
      Map<String, String> environment, int schemaId, Object... settings) {
    Deployment deployment = Deployment.read(Records.settings(settings), environment);
    return new MessageEncoder(
        new CloudEventsFormat(deployment, Clock.fixed(Records.TIME, ZoneOffset.UTC)),
        new HopsworksFormat(deployment, schemaId, 2000, counts));
  }

  private static LogMessage message(
      MessageEncoder encoder, InferenceRecord record, Object... settings) {
    LogMessage message = encode(encoder, record, settings);
    return requireNonNull(message, "no message");
  }

  private static @Nullable LogMessage encode(
      MessageEncoder encoder, InferenceRecord record, Object... settings) {
    try (CapturedRecord captured = Records.capture(record, settings)) {
      return encoder.encode(captured);
    }
  }

  private static String text(LogMessage message) {
    return new String(message.value(), UTF_8);
  }

  private static GenericRecord avro(org.apache.avro.Schema schema, byte[] value) throws Exception {
    return new GenericDatumReader<GenericRecord>(schema)
        .read(null, DecoderFactory.get().binaryDecoder(value, null));
  }

  @Test
  void hopsworksV4_hasItsFields_andIsBare() throws Exception {
    MessageEncoder encoder =
        encoder(
            Map.of("DEPLOYMENT_NAME", "d", "MODEL_NAME", "registered", "MODEL_VERSION", "7"),
            -1,
            "serving-id",
            12);
    LogMessage request =
        message(encoder, Records.inputs("id-1", V1, Records.floats()), "format", "hopsworks-v4");
    GenericRecord fields = avro(HopsworksFormat.V4, request.value());
    assertThat(fields.get("servingId")).isEqualTo(12);
    assertThat(fields.get("modelName")).hasToString("registered");
    assertThat(fields.get("modelVersion")).isEqualTo(7);
    assertThat(fields.get("requestTimestamp")).isEqualTo(Records.TIME.toEpochMilli());
    assertThat(fields.get("responseHttpCode")).isEqualTo(0);
    assertThat(fields.get("inferenceId")).hasToString("id-1");
    assertThat(fields.get("messageType")).hasToString("request");
    assertThat(fields.get("payload")).hasToString("{\"instances\":[[1.0,2.5],[-3.0,4.0]]}");
    assertThat(request.key()).isNotNull();

    LogMessage response =
        message(encoder, Records.outputs("id-1", V1, Records.floats()), "format", "hopsworks-v4");
    fields = avro(HopsworksFormat.V4, response.value());
    assertThat(fields.get("responseHttpCode")).isEqualTo(200);
    assertThat(fields.get("messageType")).hasToString("response");
    assertThat(fields.get("payload")).hasToString("{\"predictions\":[[1.0,2.5],[-3.0,4.0]]}");

    LogMessage failed =
        message(
            encoder,
            Records.failed("id-1", new InferenceException(ErrorCode.RESOURCE_EXHAUSTED, "full")),
            "format",
            "hopsworks-v4");
    fields = avro(HopsworksFormat.V4, failed.value());
    assertThat(fields.get("responseHttpCode")).isEqualTo(429);
    assertThat(fields.get("payload")).hasToString("{\"error\":\"full\"}");
  }

  @Test
  void hopsworksV3_pairsTheSides_andMayHaveARegistrysHeader() throws Exception {
    MessageEncoder encoder = encoder(Map.of("DEPLOYMENT_NAME", "d"), 258, "serving-id", 12);
    assertThat(encode(encoder, Records.inputs("a", V1, Records.floats()), "format", "hopsworks-v3"))
        .isNull();
    LogMessage message =
        message(encoder, Records.outputs("a", V1, Records.floats()), "format", "hopsworks-v3");
    assertThat(message.value()).startsWith(0, 0, 0, 1, 2);
    byte[] bare = java.util.Arrays.copyOfRange(message.value(), 5, message.value().length);
    GenericRecord fields = avro(HopsworksFormat.V3, bare);
    assertThat(fields.get("modelId")).isEqualTo(12);
    assertThat(fields.get("modelName")).hasToString("d");
    assertThat(fields.get("modelVersion")).isEqualTo(3);
    assertThat(fields.get("responseHttpCode")).isEqualTo(200);
    assertThat(fields.get("inferenceRequest")).asString().contains("instances");
    assertThat(fields.get("inferenceResponse")).asString().contains("predictions");
    assertThat(fields.get("modelServer")).hasToString("PYTHON");
    assertThat(fields.get("servingTool")).hasToString("DEFAULT");
    assertThat(counts.dropped()).isZero();
  }

  @Test
  void hopsworksV3_dropsSidesWithoutTheOther_andKeepsItsBound() {
    MessageEncoder encoder = encoder(Map.of(), -1);
    for (int i = 0; i < 100; i++) {
      encode(encoder, Records.inputs("i" + i, V1, Records.floats()), "format", "hopsworks-v3");
    }
    assertThat(counts.of("UNPAIRED")).isBetween(90, 99);
    encode(encoder, Records.outputs("i0", V1, Records.floats()), "format", "hopsworks-v3");
    assertThat(counts.of("UNPAIRED")).isBetween(91, 100);
  }

  @Test
  void cloudEvents_haveTheAttributesOfKServe() {
    MessageEncoder encoder =
        encoder(
            Map.of("HOSTNAME", "pod-1", "INFERENCE_SERVICE_NAME", "isvc", "POD_NAMESPACE", "ns"),
            -1,
            "metadata-headers",
            "x-request-id, absent");
    Map<String, String> headers =
        Map.of(
            "header.x-request-id", "r1",
            "header.traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    LogMessage request =
        message(
            encoder, Records.inputs("id-1", headers, Records.floats()), "format", "cloudevents");
    assertThat(request.header("content-type")).isEqualTo("application/json");
    assertThat(request.header("ce_specversion")).isEqualTo("1.0");
    assertThat(request.header("ce_id")).isEqualTo("id-1");
    assertThat(request.header("ce_type")).isEqualTo("org.kubeflow.serving.inference.request");
    assertThat(request.header("ce_source")).isEqualTo("pod-1");
    assertThat(request.header("ce_time")).isEqualTo("2026-01-02T03:04:05.678Z");
    assertThat(request.header("ce_inferenceservicename")).isEqualTo("isvc");
    assertThat(request.header("ce_namespace")).isEqualTo("ns");
    assertThat(request.header("ce_component")).isEqualTo("predictor");
    assertThat(request.header("ce_endpoint")).isEmpty();
    assertThat(request.header("ce_metadata")).isEqualTo("{\"X-Request-Id\":[\"r1\"]}");
    assertThat(request.header("ce_recordedtime")).isEqualTo("2026-01-02T03:04:05.678Z");
    assertThat(request.header("ce_statuscode")).isNull();
    assertThat(request.header("ce_traceparent")).startsWith("00-0af7");
    assertThat(request.header("traceparent")).startsWith("00-0af7");
    assertThat(request.header("millrace-model")).isEqualTo("m");
    assertThat(text(request))
        .isEqualTo(
            "{\"id\":\"id-1\",\"model_name\":\"m\",\"model_version\":\"3\",\"inputs\":[{\"name\":\"x\","
                + "\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[1.0,2.5,-3.0,4.0]}]}");
    LogMessage failed =
        message(
            encoder,
            Records.failed("id-1", InferenceException.notFound("gone")),
            "format",
            "cloudevents");
    assertThat(failed.header("ce_type")).isEqualTo("org.kubeflow.serving.inference.response");
    assertThat(failed.header("ce_statuscode")).isEqualTo("404");
  }

  @Test
  void cloudEvents_structured_areOneObject() {
    LogMessage event =
        message(
            encoder(Map.of(), -1),
            Records.outputs("id-1", Map.of("header.ce-id", "given"), Records.floats()),
            "format",
            "cloudevents-structured");
    assertThat(event.header("content-type")).startsWith("application/cloudevents+json");
    assertThat(text(event))
        .startsWith("{\"specversion\":\"1.0\",\"id\":\"given\"")
        .contains("\"datacontenttype\":\"application/json\",\"data\":{\"id\":\"id-1\"")
        .doesNotContain("\n");
  }

  @Test
  void cloudEvents_raw_areV2WithBinaryTensors() {
    LogMessage event =
        message(
            encoder(Map.of(), -1),
            Records.inputs("id-1", Map.of(), Records.floats()),
            "format",
            "cloudevents",
            "payload",
            "raw");
    assertThat(event.header("content-type")).isEqualTo("application/octet-stream");
    int json = Integer.parseInt(String.valueOf(event.header("inference-header-content-length")));
    assertThat(event.value()).hasSize(json + 16);
    assertThat(text(event)).contains("\"parameters\":{\"binary_data_size\":16}");
  }

  @Test
  void json_isOneLine_asDocumented() {
    LogMessage message =
        message(encoder(Map.of(), -1), Records.outputs("id-1", Map.of(), Records.floats()));
    assertThat(text(message))
        .isEqualTo(
            "{\"time\":\"2026-01-02T03:04:05.678Z\",\"id\":\"id-1\",\"model\":\"m\",\"version\":\"3\","
                + "\"side\":\"response\",\"code\":200,\"outputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
                + "\"shape\":[2,2],\"data\":[1.0,2.5,-3.0,4.0]}]}");
  }

  @Test
  void protobuf_isWhatGrpcCarries() throws Exception {
    MessageEncoder encoder = encoder(Map.of(), -1);
    LogMessage request =
        message(encoder, Records.inputs("id-1", Map.of(), Records.floats()), "format", "protobuf");
    ModelInferRequest infer = ModelInferRequest.parseFrom(request.value());
    assertThat(infer.getId()).isEqualTo("id-1");
    assertThat(infer.getModelName()).isEqualTo("m");
    assertThat(infer.getModelVersion()).isEqualTo("3");
    assertThat(infer.getInputs(0).getName()).isEqualTo("x");
    assertThat(infer.getInputs(0).getDatatype()).isEqualTo("FP32");
    assertThat(infer.getInputs(0).getShapeList()).containsExactly(2L, 2L);
    assertThat(infer.getRawInputContents(0).size()).isEqualTo(16);
    LogMessage response =
        message(encoder, Records.outputs("id-1", Map.of(), Records.floats()), "format", "protobuf");
    ModelInferResponse answer = ModelInferResponse.parseFrom(response.value());
    assertThat(answer.getOutputs(0).getShapeList()).containsExactly(2L, 2L);
    assertThat(answer.getRawOutputContents(0).size()).isEqualTo(16);
    assertThat(response.header("millrace-code")).isEqualTo("200");
  }

  private static Tensor bytes(DataType type, long count, int... octets) {
    ByteBuffer data = ByteBuffer.allocate(octets.length);
    for (int octet : octets) {
      data.put((byte) octet);
    }
    return Tensor.copyOf(type, Shape.of(count), data.flip());
  }

  @Test
  void everyDatatype_isANumberOfItsKind() {
    TensorMap.Builder tensors = TensorMap.builder();
    tensors.put("bool", bytes(DataType.BOOL, 2, 0, 1));
    tensors.put("u8", bytes(DataType.UINT8, 1, 255));
    tensors.put("u16", bytes(DataType.UINT16, 1, 255, 255));
    tensors.put("u32", bytes(DataType.UINT32, 1, 255, 255, 255, 255));
    tensors.put("u64", bytes(DataType.UINT64, 1, 255, 255, 255, 255, 255, 255, 255, 255));
    tensors.put("i8", bytes(DataType.INT8, 1, 255));
    tensors.put("i16", bytes(DataType.INT16, 1, 254, 255));
    tensors.put("f16", bytes(DataType.FP16, 1, 0, 0x3e));
    tensors.put("bf16", bytes(DataType.BF16, 1, 0xc0, 0x3f));
    tensors.put("nan", Tensor.copyOf(Shape.of(2), Float.NaN, Float.NEGATIVE_INFINITY));
    tensors.put("text", Tensor.copyOf(Shape.of(2), "ä", "\"b\""));
    tensors.put("blob", Tensor.copyOf(Shape.of(1), List.of(new byte[] {(byte) 0xff, 0})));
    LogMessage message =
        message(encoder(Map.of(), -1), Records.inputs("i", Map.of(), tensors.build()));
    assertThat(text(message))
        .contains("\"data\":[false,true]")
        .contains("\"UINT8\",\"shape\":[1],\"data\":[255]")
        .contains("\"UINT16\",\"shape\":[1],\"data\":[65535]")
        .contains("\"UINT32\",\"shape\":[1],\"data\":[4294967295]")
        .contains("\"UINT64\",\"shape\":[1],\"data\":[18446744073709551615]")
        .contains("\"INT8\",\"shape\":[1],\"data\":[-1]")
        .contains("\"INT16\",\"shape\":[1],\"data\":[-2]")
        .contains("\"FP16\",\"shape\":[1],\"data\":[1.5]")
        .contains("\"BF16\",\"shape\":[1],\"data\":[1.5]")
        .contains("\"data\":[\"NaN\",\"-Infinity\"]")
        .contains("\"data\":[\"ä\",\"\\\"b\\\"\"]")
        .contains("\"parameters\":{\"content_type\":\"base64\"},\"data\":[\"/wA=\"]");
  }

  @Test
  void v1_writesRowsAndColumns() {
    assertThat(
            v1(
                TensorMap.of(
                    "a",
                    Tensor.copyOf(Shape.of(2), 1, 2),
                    "b",
                    Tensor.copyOf(Shape.of(2, 1), 3f, 4f))))
        .isEqualTo("{\"instances\":[{\"a\":1,\"b\":[3.0]},{\"a\":2,\"b\":[4.0]}]}");
    assertThat(
            v1(
                TensorMap.of(
                    "a", Tensor.copyOf(Shape.scalar(), 1), "b", Tensor.copyOf(Shape.of(2), 3, 4))))
        .isEqualTo("{\"inputs\":{\"a\":1,\"b\":[3,4]}}");
    assertThat(v1(TensorMap.of("instances", Tensor.copyOf(Shape.of(2), "{\"k\":1}", "no json"))))
        .isEqualTo("{\"instances\":[{\"k\":1},\"no json\"]}");
  }

  private static String v1(CapturedRecord record) {
    JsonWriter json = new JsonWriter();
    V1Payload.write(json, record);
    return new String(json.toBytes(), UTF_8);
  }

  private String v1(TensorMap tensors) {
    return v1(Records.capture(Records.inputs("i", Map.of(), tensors)));
  }

  @Test
  void payload_beyondTheLimit_isCutToWholeElements_andSaysSo() {
    TensorMap tensors =
        TensorMap.of(
            "x", Tensor.copyOf(Shape.of(4), 1, 2, 3, 4), "t", Tensor.copyOf(Shape.of(1), "t"));
    LogMessage message =
        message(encoder(Map.of(), -1), Records.inputs("i", Map.of(), tensors), "payload-limit", 10);
    assertThat(message.header("millrace-cut-bytes")).isEqualTo("13");
    assertThat(text(message))
        .contains("\"cut_bytes\":13")
        .contains("\"shape\":[4],\"parameters\":{\"cut_elements\":2},\"data\":[1,2]")
        .contains("\"shape\":[1],\"parameters\":{\"cut_elements\":1},\"data\":[]");
    assertThat(
            v1(
                Records.capture(
                    Records.record(Side.PREDICTIONS, "i", Map.of(), Records.floats(), null),
                    "payload-limit",
                    12)))
        .isEqualTo("{\"predictions\":[[1.0,2.5]],\"cut_bytes\":4}");
  }
}
