package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.proto.tensorflow.DataType;
import dev.millrace.proto.tensorflow.TensorProto;
import dev.millrace.proto.tensorflow.TensorShapeProto;
import dev.millrace.proto.tfserving.ModelSpec;
import dev.millrace.proto.tfserving.PredictRequest;
import dev.millrace.proto.tfserving.PredictionServiceGrpc;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.LoggerConfig;
import dev.millrace.server.MillraceServer;
import dev.millrace.server.ServerConfig;
import dev.millrace.testing.OnnxModels;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * What TensorFlow Serving's clients, and those of a script, leave in Kafka: each record is read
 * back field by field.
 */
@ExtendWith(TensorLeakExtension.class)
@Timeout(240)
class KafkaServerTest {
  private static final String ROW = String.join(",", Collections.nCopies(16, "1"));
  private static final String TWOS = ROW.replace('1', '2');
  private static final String ZEROS = ROW.replace('1', '0');

  private static final String SCRIPT =
      """
      class Predictor:
          def predict(self, inputs):
              return [{"text": row["text"].upper(), "length": len(row["text"])} for row in inputs]
      """;

  @TempDir private Path directory;
  private final HttpClient client = HttpClient.newHttpClient();
  private final List<AutoCloseable> open = new ArrayList<>();

  @AfterEach
  void closeAll() throws Exception {
    client.close();
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
  }

  private KafkaBroker broker() throws Exception {
    KafkaBroker broker = KafkaBroker.started(directory.resolve("broker"));
    open.add(broker);
    broker.createTopic("log");
    return broker;
  }

  private MillraceServer serve(KafkaBroker broker, Path model, String format) throws IOException {
    MillraceServer server =
        MillraceServer.start(
            ServerConfig.of(model)
                .onFreePorts()
                .withLogger(
                    LoggerConfig.of(
                        Map.of(
                            "sink", "kafka",
                            "brokers", broker.address(),
                            "topic", "log",
                            "format", format,
                            "serving-id", "12"))),
            Plugins.onClassPath());
    open.add(server);
    return server;
  }

  private Path simple() throws IOException {
    Path file = directory.resolve("simple/3/model.onnx");
    Files.createDirectories(file.getParent());
    Files.write(file, OnnxModels.simple());
    return directory.resolve("simple");
  }

  private HttpResponse<String> post(MillraceServer server, String path, String id, String body)
      throws Exception {
    return client.send(
        HttpRequest.newBuilder(URI.create("http://localhost:" + server.port() + path))
            .header("X-Request-Id", id)
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private static TensorProto ones() {
    TensorProto.Builder tensor = TensorProto.newBuilder().setDtype(DataType.DT_INT32);
    tensor.setTensorShape(
        TensorShapeProto.newBuilder()
            .addDim(TensorShapeProto.Dim.newBuilder().setSize(1))
            .addDim(TensorShapeProto.Dim.newBuilder().setSize(16)));
    Collections.nCopies(16, 1).forEach(tensor::addIntVal);
    return tensor.build();
  }

  private static void predict(MillraceServer server) {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
    try {
      var _ =
          PredictionServiceGrpc.newBlockingStub(channel)
              .predict(
                  PredictRequest.newBuilder()
                      .setModelSpec(ModelSpec.newBuilder().setName("simple"))
                      .putInputs("INPUT0", ones())
                      .putInputs("INPUT1", ones())
                      .build());
    } finally {
      channel.shutdownNow();
    }
  }

  private static GenericRecord avro(Schema schema, ConsumerRecord<byte[], byte[]> record)
      throws IOException {
    return new GenericDatumReader<GenericRecord>(schema)
        .read(null, DecoderFactory.get().binaryDecoder(record.value(), null));
  }

  private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
    return new String(record.headers().lastHeader(name).value(), UTF_8);
  }

  /** Looks at all fields of a message of version 4. */
  private static void assertSide(
      ConsumerRecord<byte[], byte[]> message,
      String model,
      int version,
      String id,
      int code,
      String payload)
      throws IOException {
    GenericRecord fields = avro(HopsworksFormat.V4, message);
    assertThat(fields.get("servingId")).isEqualTo(12);
    assertThat(fields.get("modelName")).hasToString(model);
    assertThat(fields.get("modelVersion")).isEqualTo(version);
    assertThat(fields.get("requestTimestamp")).isEqualTo(message.timestamp());
    assertThat(fields.get("responseHttpCode")).isEqualTo(code);
    assertThat(fields.get("inferenceId")).hasToString(id);
    assertThat(fields.get("messageType")).hasToString(code == 0 ? "request" : "response");
    assertThat(fields.get("payload")).hasToString(payload);
    assertThat(message.key()).isNull();
    assertThat(header(message, "content-type")).isEqualTo("avro/binary");
    assertThat(header(message, "millrace-model")).isEqualTo(model);
    assertThat(header(message, "millrace-version")).isEqualTo(Integer.toString(version));
  }

  @Test
  void tensorFlowServing_overRest_isLoggedAsItsBodies() throws Exception {
    KafkaBroker broker = broker();
    MillraceServer server = serve(broker, simple(), "hopsworks-v4");
    String path = "/v1/models/simple/versions/3:predict";
    String row = "{\"INPUT0\":[%s],\"INPUT1\":[%s]}".formatted(ROW, ROW);
    String predicted = "{\"OUTPUT0\":[%s],\"OUTPUT1\":[%s]}".formatted(TWOS, ZEROS);
    long before = System.currentTimeMillis();
    String rows =
        "{\"signature_name\":\"serving_default\",\"instances\":[%s,%s]}".formatted(row, row);
    assertThat(post(server, path, "rows", rows).statusCode()).isEqualTo(200);
    String columns = "{\"inputs\":{\"INPUT0\":[[%s]],\"INPUT1\":[[%s]]}}".formatted(ROW, ROW);
    assertThat(post(server, path, "columns", columns).statusCode()).isEqualTo(200);
    long after = System.currentTimeMillis();

    List<ConsumerRecord<byte[], byte[]>> log = broker.read("log", 4);
    assertThat(log).hasSize(4).allMatch(m -> m.timestamp() >= before && m.timestamp() <= after);
    String twice = "[%s,%s]";
    assertSide(
        log.get(0), "simple", 3, "rows", 0, "{\"instances\":" + twice.formatted(row, row) + "}");
    assertSide(
        log.get(1),
        "simple",
        3,
        "rows",
        200,
        "{\"predictions\":" + twice.formatted(predicted, predicted) + "}");
    assertSide(log.get(2), "simple", 3, "columns", 0, "{\"instances\":[" + row + "]}");
    assertSide(log.get(3), "simple", 3, "columns", 200, "{\"predictions\":[" + predicted + "]}");
  }

  @Test
  void predictionService_isLoggedAsTensors_underAnIdThatIsMadeUp() throws Exception {
    KafkaBroker broker = broker();
    MillraceServer server = serve(broker, simple(), "hopsworks-v4");
    predict(server);
    List<ConsumerRecord<byte[], byte[]>> log = broker.read("log", 2);
    String id = avro(HopsworksFormat.V4, log.getFirst()).get("inferenceId").toString();
    assertThat(id).isNotBlank();
    String tensors =
        "{\"id\":\"%s\",\"model_name\":\"simple\",\"model_version\":\"3\",\"%s\":["
            + "{\"name\":\"%s0\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[%s]},"
            + "{\"name\":\"%s1\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[%s]}]}";
    assertSide(
        log.get(0),
        "simple",
        3,
        id,
        0,
        tensors.formatted(id, "inputs", "INPUT", ROW, "INPUT", ROW));
    assertSide(
        log.get(1),
        "simple",
        3,
        id,
        200,
        tensors.formatted(id, "outputs", "OUTPUT", TWOS, "OUTPUT", ZEROS));
  }

  @Test
  void bothOfTensorFlowServing_areOneMessageEach_inVersion3() throws Exception {
    KafkaBroker broker = broker();
    MillraceServer server = serve(broker, simple(), "hopsworks-v3");
    String row = "{\"INPUT0\":[%s],\"INPUT1\":[%s]}".formatted(ROW, ROW);
    String path = "/v1/models/simple:predict";
    assertThat(post(server, path, "r", "{\"instances\":[" + row + "]}").statusCode())
        .isEqualTo(200);
    predict(server);
    List<ConsumerRecord<byte[], byte[]>> log = broker.read("log", 2);
    assertThat(log).hasSize(2);
    for (ConsumerRecord<byte[], byte[]> message : log) {
      GenericRecord fields = avro(HopsworksFormat.V3, message);
      assertThat(fields.get("modelId")).isEqualTo(12);
      assertThat(fields.get("modelName")).hasToString("simple");
      assertThat(fields.get("modelVersion")).isEqualTo(3);
      assertThat(fields.get("requestTimestamp")).isEqualTo(message.timestamp());
      assertThat(fields.get("responseHttpCode")).isEqualTo(200);
      assertThat(fields.get("modelServer")).hasToString("PYTHON");
      assertThat(fields.get("servingTool")).hasToString("DEFAULT");
    }
    GenericRecord rest = avro(HopsworksFormat.V3, log.get(0));
    assertThat(rest.get("inferenceRequest")).hasToString("{\"instances\":[" + row + "]}");
    assertThat(rest.get("inferenceResponse"))
        .hasToString(
            "{\"predictions\":[{\"OUTPUT0\":[%s],\"OUTPUT1\":[%s]}]}".formatted(TWOS, ZEROS));
    GenericRecord grpc = avro(HopsworksFormat.V3, log.get(1));
    assertThat(grpc.get("inferenceRequest"))
        .asString()
        .contains("\"inputs\":[{\"name\":\"INPUT0\"");
    assertThat(grpc.get("inferenceResponse")).asString().contains("\"data\":[" + TWOS + "]");
  }

  @Test
  void script_isLoggedWithTheJsonOfItsRows_andWithItsFailures() throws Exception {
    requirePython();
    Path script = directory.resolve("shout/7/predictor.py");
    Files.createDirectories(script.getParent());
    Files.writeString(script, SCRIPT);
    KafkaBroker broker = broker();
    MillraceServer server = serve(broker, directory.resolve("shout"), "hopsworks-v4");
    String path = "/v1/models/shout:predict";
    String good = "{\"instances\":[{\"text\":\"ab\"},{\"text\":\"grün\"}]}";
    assertThat(post(server, path, "good", good).statusCode()).isEqualTo(200);
    String bad = "{\"instances\":[{\"word\":\"ab\"}]}";
    HttpResponse<String> failed = post(server, path, "bad", bad);
    assertThat(failed.statusCode()).isGreaterThanOrEqualTo(400);

    List<ConsumerRecord<byte[], byte[]>> log = broker.read("log", 4);
    assertThat(log).hasSize(4);
    assertSide(log.get(0), "shout", 7, "good", 0, good);
    assertThat(avro(HopsworksFormat.V4, log.get(1)).get("payload").toString().replace(" ", ""))
        .isEqualTo(
            "{\"predictions\":[{\"text\":\"AB\",\"length\":2},{\"text\":\"GRÜN\",\"length\":4}]}");
    assertSide(
        log.get(1),
        "shout",
        7,
        "good",
        200,
        avro(HopsworksFormat.V4, log.get(1)).get("payload").toString());
    assertSide(log.get(2), "shout", 7, "bad", 0, bad);
    assertSide(log.get(3), "shout", 7, "bad", failed.statusCode(), failed.body().strip());
    assertThat(failed.body()).contains("text"); // the key that the script missed
  }

  private static void requirePython() throws InterruptedException {
    boolean present;
    try {
      present = new ProcessBuilder("python3", "-c", "pass").start().waitFor() == 0;
    } catch (IOException e) {
      present = false;
    }
    if (!present) {
      System.err.println("not run: no python3 is on the PATH");
    }
    Assumptions.assumeTrue(present, "no python3 is on the PATH");
  }
}
