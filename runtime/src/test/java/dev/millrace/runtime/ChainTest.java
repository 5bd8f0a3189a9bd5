package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.Attributes;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The transformers that a model's configuration lists. */
@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class ChainTest {
  @TempDir private Path root;
  private final FakeBackend backend = new FakeBackend();
  private final List<String> trace = new CopyOnWriteArrayList<>();
  private final AtomicInteger open = new AtomicInteger();
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();

  @BeforeEach
  void writeModel() throws IOException {
    Trees.write(root, "m/a.fake", "2");
  }

  @AfterEach
  void everythingIsClosed() {
    assertThat(open).hasValue(0);
    assertThat(backend.openModels).hasValue(0);
  }

  /** Clients send texts, {@code TEXT}; the model gets the numbers that they spell, twice each. */
  private final class Parse implements Transformer {
    private final Attributes.Key<String> note = Attributes.Key.of("note", String.class);
    private final String suffix;

    Parse(TransformerSource source) {
      suffix = source.settings().string("suffix").orElse("");
      open.incrementAndGet();
    }

    @Override
    public String name() {
      return "parse";
    }

    @Override
    public boolean mayBlock() {
      return false;
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      if (inner.input("X").isEmpty()) {
        throw InferenceException.invalidArgument("there is no input 'X'");
      }
      return inner
          .withInputs(List.of(new TensorSpec("TEXT", DataType.BYTES, Shape.of(-1))))
          .withOutputs(
              List.of(
                  new TensorSpec("SUM", DataType.BYTES, Shape.of(-1)),
                  new TensorSpec("NOTE", DataType.BYTES, Shape.of(-1))));
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      Tensor text = tensor(request.inputs(), "TEXT");
      List<String> words = text.toStrings();
      float[] numbers = new float[words.size() * 2];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = Float.parseFloat(words.get(i / 2));
      }
      trace.add("parse " + words + " " + request.header("X-Tenant").orElse("nobody"));
      InferenceRequest changed =
          request
              .withInputs(TensorMap.of("X", Tensor.copyOf(Shape.of(words.size(), 2), numbers)))
              .withAttribute(note, String.join("+", words));
      request.close();
      return changed;
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      float[] values = tensor(response.outputs(), "Y").toFloats();
      String[] sums = new String[values.length / 2];
      for (int i = 0; i < sums.length; i++) {
        sums[i] = values[2 * i] + values[2 * i + 1] + suffix;
      }
      String[] notes = new String[sums.length];
      java.util.Arrays.fill(notes, request.attribute(note).orElseThrow());
      trace.add("sum");
      InferenceResponse changed =
          response.withOutputs(
              TensorMap.of(
                  "SUM", Tensor.copyOf(Shape.of(sums.length), sums),
                  "NOTE", Tensor.copyOf(Shape.of(sums.length), notes)));
      response.close();
      return changed;
    }

    @Override
    public void close() {
      open.decrementAndGet();
    }
  }

  /** Only says that it was there. */
  private final class Trace implements Transformer {
    private final String word;

    Trace(TransformerSource source) {
      word = source.settings().string("word").orElse("trace");
      open.incrementAndGet();
    }

    @Override
    public String name() {
      return "trace";
    }

    @Override
    public boolean mayBlock() {
      return true;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      trace.add(word);
      return request;
    }

    @Override
    public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
      trace.add("/" + word);
      return response;
    }

    @Override
    public void close() {
      open.decrementAndGet();
    }
  }

  private record Factory(
      String name, java.util.function.Function<TransformerSource, Transformer> maker)
      implements TransformerFactory {
    @Override
    public Transformer create(TransformerSource source) {
      return maker.apply(source);
    }
  }

  private static Tensor tensor(TensorMap tensors, String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new AssertionError("no " + name + " in " + tensors);
    }
    return tensor;
  }

  private Plugins plugins() {
    return new Plugins(
        List.of(backend),
        List.of(new Factory("parse", Parse::new), new Factory("trace", Trace::new)));
  }

  private ModelServer server(String config) throws IOException {
    Trees.write(root, "m/model.yaml", "warm-up: false\n" + config);
    ModelServer server =
        ModelServer.create(
            RuntimeConfig.of(root.resolve("m")).withProcessors(1),
            plugins(),
            List.of(),
            List.of(),
            meters,
            Ticker.system(),
            FrontEnd.NONE);
    server.models().loadAll(LoadListener.NONE);
    return server;
  }

  private static InferenceRequest texts(String... words) {
    return InferenceRequest.of(
        "m", TensorMap.of("TEXT", Tensor.copyOf(Shape.of(words.length), words)));
  }

  private String reasonNotLoaded(String config) throws IOException {
    try (ModelServer server = server(config)) {
      return server.models().index().getFirst().reason();
    }
  }

  @Test
  void steps_runInOrder_andBackInReverse() throws IOException {
    try (ModelServer server =
        server("transformers: [trace: {word: a}, parse: {suffix: '!'}, trace: {word: b}]")) {
      Headers headers = action -> action.accept("x-tenant", "me");
      try (InferenceResponse response = server.infer(texts("1", "2.5"), headers).join()) {
        assertThat(tensor(response.outputs(), "SUM").toStrings()).containsExactly("4.0!", "10.0!");
        assertThat(tensor(response.outputs(), "NOTE").toStrings())
            .containsExactly("1+2.5", "1+2.5");
      }
      assertThat(trace).containsExactly("a", "parse [1, 2.5] me", "b", "/b", "sum", "/a");
      for (String name : List.of("trace", "parse", "trace-2")) {
        assertThat(
                meters
                    .get(Metric.TRANSFORMER_DURATION.meterName())
                    .tags("model", "m", "transformer", name, "verb", "preprocess")
                    .timer()
                    .count())
            .isEqualTo(1);
      }
    }
  }

  @Test
  void metadata_areThoseOfTheOuterEnd_andRequestsAreHeldToThem() throws IOException {
    try (ModelServer server = server("transformers: [parse]")) {
      ModelMetadata metadata = server.models().describe(ModelId.latest("m")).metadata();
      assertThat(metadata.inputs()).extracting(TensorSpec::name).containsExactly("TEXT");
      assertThat(metadata.outputs()).extracting(TensorSpec::name).containsExactly("SUM", "NOTE");
      assertThat(metadata.maxBatchSize()).isEqualTo(8);
      try (ModelLease lease = server.models().lease(ModelId.latest("m"))) {
        assertThat(lease.metadata()).isEqualTo(metadata);
      }
      Requests.assertFails(
          server.infer(Requests.of("m", 1, 2)),
          ErrorCode.INVALID_ARGUMENT,
          "unexpected inference input 'X'");
      Requests.assertFails(
          server.infer(texts("1").withRequestedOutputs(List.of("Y"))),
          ErrorCode.INVALID_ARGUMENT,
          "unexpected inference output 'Y'");
      assertThat(trace).isEmpty();
    }
  }

  @Test
  void requestedOutputs_areThoseOfTheOuterEnd() throws IOException {
    try (ModelServer server = server("transformers: [parse]");
        InferenceResponse response =
            server.infer(texts("3").withRequestedOutputs(List.of("NOTE"))).join()) {
      assertThat(response.outputs().names()).containsExactly("NOTE");
    }
  }

  @Test
  void whatStepsMakeThatTheModelDoesNotTake_isAnError() throws IOException {
    try (ModelServer server = server("transformers: [parse]")) {
      Requests.assertFails(
          server.infer(texts("one")),
          ErrorCode.INTERNAL,
          "transformer 'parse' failed to preprocess: For input string: \"one\"");
    }
    backend.maxBatchSize = 0;
    try (ModelServer server = server("transformers: [parse]")) {
      Requests.assertFails(
          server.infer(
              InferenceRequest.of("m", TensorMap.of("TEXT", Tensor.copyOf(Shape.of(0), List.of())))
                  .withRequestedOutputs(List.of("SUM", "SUM2"))),
          ErrorCode.INVALID_ARGUMENT,
          "unexpected inference output 'SUM2'");
    }
  }

  @Test
  void wrongConfigurations_doNotLoad_andNameTheNearest() throws IOException {
    String file = root.resolve("m/model.yaml").toString();
    assertThat(reasonNotLoaded("transformers: [trace, pars]"))
        .isEqualTo(file + ": transformers[1]: unknown transformer 'pars'; did you mean 'parse'?");
    assertThat(reasonNotLoaded("transformers: [{trace: {wrd: x}}]"))
        .isEqualTo(file + ": unknown key 'transformers[0].trace.wrd'; did you mean 'word'?");
    assertThat(reasonNotLoaded("transformers: [{trace: 7}]"))
        .contains("transformers[0]: expected the name of a transformer");
    assertThat(reasonNotLoaded("transformers: [parse, parse]"))
        .isEqualTo("transformer 'parse' does not fit the model: there is no input 'X'");
    assertThat(reasonNotLoaded("transformer: [parse]")).contains("did you mean 'transformers'?");
  }

  @Test
  void ownConfiguration_ofAVersion_replacesTheModels() throws IOException {
    Files.delete(root.resolve("m/a.fake"));
    Trees.write(root, "m/1/a.fake", "2");
    Trees.write(root, "m/1/model.yaml", "transformers: [parse]");
    try (ModelServer server = server("transformers: [trace]")) {
      assertThat(server.models().describe(ModelId.latest("m")).metadata().inputs())
          .extracting(TensorSpec::name)
          .containsExactly("TEXT");
    }
  }

  @Test
  void files_areLookedForBesideTheVersion_thenBesideTheModel() throws IOException {
    Path file = Trees.write(root, "m/words.txt", "1");
    TransformerSource source =
        new TransformerSource(
            ModelId.latest("m"),
            List.of(root.resolve("m/1"), root.resolve("m")),
            dev.millrace.api.Settings.of("model.yaml", Map.of("file", "words.txt")));
    assertThat(source.file("file", "x")).isEqualTo(file);
    assertThatThrownBy(() -> source.file("other", "x.json"))
        .hasMessageStartingWith("model.yaml: other: there is no file 'x.json' in ");
  }

  @Test
  void twoTransformersOfOneName_areRefused() {
    assertThatThrownBy(() ->
            new Plugins(
                List.of(), List.of(new Factory("a", Trace::new), new Factory("a", Parse::new))))
        .hasMessageContaining("two transformers are called 'a'");
  }

  @Test
  void cost_ofWhatIsNotKnown_isLong_andIsLearnedBySize() {
    StepCost cost = new StepCost(meters.timer("t"));
    assertThat(cost.isLong(100)).isTrue();
    cost.record(100, 10_000);
    assertThat(cost.isLong(100)).isFalse();
    assertThat(cost.isLong(100_000)).isTrue();
    cost.record(100_000, 5_000_000);
    assertThat(cost.isLong(100_000)).isTrue();
    for (int i = 0; i < 50; i++) {
      cost.record(100_000, 1_000);
    }
    assertThat(cost.isLong(100_000)).isFalse();
    assertThat(cost.isLong(0)).isTrue();
  }
}
