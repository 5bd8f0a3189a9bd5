package dev.millrace.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferInputTensor;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.runtime.LoadListener;
import dev.millrace.runtime.Plugins;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** {@code examples/minilm}: texts in, embeddings out, over every protocol. */
@ExtendWith(TensorLeakExtension.class)
class TextToEmbeddingTest {
  private static final int WIDTH = 384;

  /** The weights are 8 bits wide, and processors differ in how they add such numbers up. */
  private static final Offset<Double> TOLERANCE = Offset.offset(0.03);

  private static MillraceServer server;
  private static ManagedChannel channel;

  @BeforeAll
  static void start(@TempDir Path directory) throws IOException {
    Files.copy(Path.of("../examples/minilm/model.yaml"), directory.resolve("model.yaml"));
    unpack("/all-minilm-l6-v2-q.onnx", directory.resolve("model.onnx"));
    unpack("/all-minilm-l6-v2-q-tokenizer.json", directory.resolve("tokenizer.json"));
    ServerConfig config = ServerConfig.of(directory).onFreePorts();
    server = MillraceServer.bind(config, Plugins.onClassPath());
    server.load(LoadListener.NONE);
    channel = NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
  }

  private static void unpack(String resource, Path file) throws IOException {
    try (InputStream in = TextToEmbeddingTest.class.getResourceAsStream(resource)) {
      Files.copy(Objects.requireNonNull(in, resource), file);
    }
  }

  @AfterAll
  static void stop() {
    channel.shutdownNow();
    server.close();
  }

  /** The model's name is that of its directory. */
  private static String model() {
    return server.models().models().index().getFirst().name();
  }

  private static String quoted(List<String> texts) {
    return texts.stream().map(text -> '"' + text + '"').collect(Collectors.joining(","));
  }

  private static List<double[]> rows(String numbers) {
    double[] values =
        Stream.of(numbers.split("[\\s,\\[\\]}]+", -1))
            .filter(number -> !number.isEmpty())
            .mapToDouble(Double::parseDouble)
            .toArray();
    List<double[]> rows = new ArrayList<>();
    for (int i = 0; i < values.length; i += WIDTH) {
      rows.add(Arrays.copyOfRange(values, i, i + WIDTH));
    }
    return rows;
  }

  private static String after(String body, String member) {
    int start = body.indexOf('"' + member + '"');
    assertThat(start).as("%s in %s", member, body).isNotNegative();
    return body.substring(body.indexOf('[', start), body.lastIndexOf(']'));
  }

  private static List<double[]> byV1(List<String> texts) throws IOException {
    RestClient.Answer answer =
        RestClient.post(
            server.port(),
            "/v1/models/%s:predict".formatted(model()),
            "{\"instances\":[%s]}".formatted(quoted(texts)));
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    return rows(after(answer.body(), "predictions"));
  }

  private static List<double[]> byV2(List<String> texts) throws IOException {
    RestClient.Answer answer =
        RestClient.post(
            server.port(),
            "/v2/models/%s/infer".formatted(model()),
            "{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[%d],\"data\":[%s]}]}"
                .formatted(texts.size(), quoted(texts)));
    assertThat(answer.status()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body())
        .contains("\"name\":\"sentence_embedding\"")
        .contains("\"shape\":[%d,%d]".formatted(texts.size(), WIDTH));
    return rows(after(answer.body(), "data"));
  }

  private static List<double[]> byGrpc(List<String> texts) {
    InferTensorContents.Builder contents = InferTensorContents.newBuilder();
    texts.forEach(text -> contents.addBytesContents(ByteString.copyFrom(text, UTF_8)));
    ModelInferResponse response =
        GRPCInferenceServiceGrpc.newBlockingStub(channel)
            .modelInfer(
                ModelInferRequest.newBuilder()
                    .setModelName(model())
                    .addInputs(
                        InferInputTensor.newBuilder()
                            .setName("text")
                            .setDatatype("BYTES")
                            .addShape(texts.size())
                            .setContents(contents))
                    .build());
    assertThat(response.getOutputs(0).getShapeList()).containsExactly((long) texts.size(), 384L);
    return rows(response.getOutputs(0).getContents().getFp32ContentsList().toString());
  }

  private static RestClient.Answer byOpenAi(String body) throws IOException {
    return RestClient.post(server.port(), "/v1/embeddings", body);
  }

  @Test
  void openAisEmbeddings_areThoseOfV2_alsoInBase64() throws IOException {
    List<String> texts = List.of("A mill wheel turns in the stream.", "Coffee, please.");
    List<double[]> expected = byV2(texts);

    RestClient.Answer numbers =
        byOpenAi("{\"model\":\"%s\",\"input\":[%s]}".formatted(model(), quoted(texts)));
    RestClient.Answer base64 =
        byOpenAi(
            "{\"input\":\"%s\",\"encoding_format\":\"base64\",\"dimensions\":384}"
                .formatted(texts.get(1)));

    assertThat(numbers.status()).as(numbers.body()).isEqualTo(200);
    assertThat(numbers.body())
        .startsWith("{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,")
        .contains("\"usage\":{\"prompt_tokens\":");
    String body = numbers.body();
    int second = body.indexOf("\"index\":1");
    double[] vector =
        rows(body.substring(body.indexOf('[', second), body.indexOf(']', second))).getFirst();
    assertThat(cosine(vector, expected.get(1))).isGreaterThan(0.98);
    assertThat(base64.status()).as(base64.body()).isEqualTo(200);
    int start = base64.body().indexOf("\"embedding\":\"") + 13;
    ByteBuffer bytes =
        ByteBuffer.wrap(
                Base64.getDecoder()
                    .decode(base64.body().substring(start, base64.body().indexOf('"', start))))
            .order(ByteOrder.LITTLE_ENDIAN);
    double[] decoded = new double[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
      decoded[i] = bytes.getFloat(4 * i);
    }
    assertThat(bytes.capacity()).isEqualTo(4 * WIDTH);
    assertThat(cosine(decoded, expected.get(1))).isGreaterThan(0.98);
  }

  @Test
  void openAisEmbeddings_ofWhatDoesNotDo_areRefused() throws IOException {
    for (String body :
        List.of(
            "{}",
            "{\"input\":[]}",
            "{\"input\":[[1,2]]}",
            "{\"input\":\"a\",\"encoding_format\":\"hex\"}",
            "{\"input\":\"a\",\"dimensions\":7}")) {
      RestClient.Answer answer = byOpenAi(body);
      assertThat(answer.status()).as(answer.body()).isEqualTo(400);
      assertThat(answer.body()).startsWith("{\"error\":{\"message\":\"'");
    }
    RestClient.Answer chat =
        RestClient.post(server.port(), "/v1/chat/completions", "{\"messages\":[]}");
    assertThat(chat.status()).isEqualTo(400);
    assertThat(chat.body()).contains("does not answer /v1/chat/completions");
  }

  private static double cosine(double[] a, double[] b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < WIDTH; i++) {
      dot += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    return dot / Math.sqrt(aa * bb);
  }

  /** See {@code transformers/src/test/python/make_references.py}. */
  @Test
  void similarities_areThoseOfTheReference_overEveryProtocol() throws IOException {
    Path references = Path.of("../transformers/src/test/resources/similarities.tsv");
    for (String line : Files.readAllLines(references)) {
      if (line.startsWith("#")) {
        continue;
      }
      String[] cells = line.split("\t", -1);
      double expected = Double.parseDouble(cells[2]);
      List<String> first = List.of(cells[0]);
      List<String> second = List.of(cells[1]);
      assertThat(cosine(byV1(first).getFirst(), byV2(second).getFirst()))
          .as(line)
          .isCloseTo(expected, TOLERANCE);
      assertThat(cosine(byGrpc(first).getFirst(), byV1(second).getFirst()))
          .as(line)
          .isCloseTo(expected, TOLERANCE);
    }
  }

  @Test
  void textsOfOneRequest_haveTheirOwnEmbeddings_ofLengthOne() throws IOException {
    List<String> texts =
        List.of(
            "A mill wheel turns in the stream.",
            "The river drives the water wheel.",
            "I would like two cups of coffee, please, and a piece of the cake over there.");
    List<double[]> together = byV2(texts);
    assertThat(together).hasSize(3);
    for (int i = 0; i < texts.size(); i++) {
      double[] alone = byV2(List.of(texts.get(i))).getFirst();
      assertThat(cosine(together.get(i), alone)).isGreaterThan(0.98);
      double sum = 0;
      for (double value : together.get(i)) {
        sum += value * value;
      }
      assertThat(sum).isCloseTo(1, Offset.offset(1e-4));
    }
  }

  @Test
  void metadata_areOfTexts_andWrongRequestsAreToldSo() throws IOException {
    String path = "/v2/models/" + model();
    assertThat(RestClient.get(server.port(), path).body())
        .contains("\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[-1]}]")
        .contains("{\"name\":\"sentence_embedding\",\"datatype\":\"FP32\",\"shape\":[-1,384]}");
    RestClient.Answer answer =
        RestClient.post(
            server.port(),
            path + "/infer",
            "{\"inputs\":[{\"name\":\"input_ids\",\"datatype\":\"INT64\",\"shape\":[1,1],\"data\":[1]}]}");
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.body()).contains("unexpected inference input 'input_ids'");
  }
}
