package dev.millrace.transformers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** The tokenizer of all-MiniLM-L6-v2, which cuts at 128 tokens. */
@ExtendWith(TensorLeakExtension.class)
class TokenizerTest {
  private static final TensorSpec IDS = spec("input_ids", DataType.INT64);
  private static final TensorSpec MASK = spec("attention_mask", DataType.INT64);
  private static final TensorSpec TYPES = spec("token_type_ids", DataType.INT64);
  private static final ModelMetadata MODEL = Chains.model(List.of(IDS, MASK, TYPES), List.of());

  @TempDir private static Path directory;

  @BeforeAll
  static void unpack() throws IOException {
    unpackTo(directory);
  }

  /** Writes the tokenizer's file. */
  static void unpackTo(Path directory) throws IOException {
    try (InputStream in =
        TokenizerTest.class.getResourceAsStream("/all-minilm-l6-v2-q-tokenizer.json")) {
      Files.copy(Objects.requireNonNull(in), directory.resolve("tokenizer.json"));
    }
  }

  private static TensorSpec spec(String name, DataType type) {
    return new TensorSpec(name, type, Shape.of(-1, -1));
  }

  private static Transformer tokenizer(Map<String, Object> options) {
    return Chains.step(new Tokenizer(), options, directory);
  }

  private static InferenceRequest texts(String... texts) {
    return Chains.request(TensorMap.of("text", Tensor.copyOf(Shape.of(texts.length), texts)));
  }

  private static Tensor tensor(InferenceRequest request, String name) {
    return Objects.requireNonNull(request.inputs().get(name), name);
  }

  /** A row of {@code tokens.tsv}. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Reference(String first, String second, long[] ids, long[] types) {}

  private static List<Reference> references() throws IOException {
    return Files.readAllLines(Path.of("src/test/resources/tokens.tsv")).stream()
        .skip(1)
        .map(line -> line.split("\t", -1))
        .map(cells ->
            new Reference(
                text(cells[0]),
                cells[1].startsWith("=") ? text(cells[1].substring(1)) : "-",
                numbers(cells[2]),
                numbers(cells[3])))
        .toList();
  }

  private static String text(String escaped) {
    try (JsonParser parser =
        new JsonFactory().createParser(ObjectReadContext.empty(), '"' + escaped + '"')) {
      parser.nextToken();
      return parser.getString();
    }
  }

  private static long[] numbers(String cell) {
    return Stream.of(cell.split(" ", -1)).mapToLong(Long::parseLong).toArray();
  }

  @Test
  void tokens_areThoseOfTheReference() throws IOException {
    try (Transformer single = tokenizer(Map.of());
        Transformer pairs = tokenizer(Map.of("pair", "other"))) {
      single.describe(MODEL);
      pairs.describe(MODEL);
      for (Reference reference : references()) {
        boolean isPair = !reference.second.equals("-");
        TensorMap inputs =
            isPair
                ? TensorMap.of(
                    "text", Tensor.copyOf(Shape.of(1), reference.first),
                    "other", Tensor.copyOf(Shape.of(1), reference.second))
                : TensorMap.of("text", Tensor.copyOf(Shape.of(1), reference.first));
        try (InferenceRequest request =
            (isPair ? pairs : single).preprocess(Chains.request(inputs))) {
          assertThat(request.inputs().names())
              .containsExactly("input_ids", "attention_mask", "token_type_ids");
          assertThat(tensor(request, "input_ids").toLongs())
              .as(reference.first)
              .containsExactly(reference.ids);
          assertThat(tensor(request, "token_type_ids").toLongs()).containsExactly(reference.types);
          assertThat(tensor(request, "attention_mask").toLongs()).containsOnly(1);
        }
      }
    }
  }

  @Test
  void shorterTexts_areFilledUp_andMasked() {
    try (Transformer step = tokenizer(Map.of("pad-to-multiple-of", 4))) {
      step.describe(MODEL);
      try (InferenceRequest request = step.preprocess(texts("one two three", "one"))) {
        assertThat(tensor(request, "input_ids").shape()).isEqualTo(Shape.of(2, 8));
        assertThat(tensor(request, "input_ids").toLongs())
            .containsExactly(101, 2028, 2048, 2093, 102, 0, 0, 0, 101, 2028, 102, 0, 0, 0, 0, 0);
        assertThat(tensor(request, "attention_mask").toLongs())
            .containsExactly(1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0);
      }
    }
  }

  @Test
  void lengths_areCut_fixed_orRefused() {
    try (Transformer cut = tokenizer(Map.of("max-length", 4));
        Transformer fixed = tokenizer(Map.of("max-length", 6, "padding", "max-length"));
        Transformer refused = tokenizer(Map.of("max-length", 4, "truncation", "off"))) {
      try (InferenceRequest request = cut.preprocess(texts("one two three"))) {
        assertThat(tensor(request, "input_ids").toLongs()).containsExactly(101, 2028, 2048, 102);
      }
      try (InferenceRequest request = fixed.preprocess(texts("one"))) {
        assertThat(tensor(request, "input_ids").toLongs()).containsExactly(101, 2028, 102, 0, 0, 0);
      }
      try (InferenceRequest request = texts("one", "one two three")) {
        assertThatThrownBy(() -> refused.preprocess(request))
            .isInstanceOfSatisfying(
                InferenceException.class,
                e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
            .hasMessage("text 1 has 5 tokens, at most 4 are allowed");
      }
    }
  }

  @Test
  void model_getsWhatItDeclares() {
    TensorSpec narrow = spec("ids", DataType.INT32);
    try (Transformer step = tokenizer(Map.of("ids", "ids", "text", "sentence"))) {
      ModelMetadata outer = step.describe(Chains.model(List.of(narrow), List.of()));
      assertThat(outer.inputs())
          .containsExactly(new TensorSpec("sentence", DataType.BYTES, Shape.of(-1)));
      InferenceRequest texts =
          Chains.request(TensorMap.of("sentence", Tensor.copyOf(Shape.of(1), "one")));
      try (InferenceRequest request = step.preprocess(texts)) {
        assertThat(request.inputs().names()).containsExactly("ids");
        assertThat(tensor(request, "ids").toInts()).containsExactly(101, 2028, 102);
      }
    }
  }

  @Test
  void modelThatDoesNotFit_isRefused() {
    try (Transformer step = tokenizer(Map.of())) {
      assertThatThrownBy(
              () -> step.describe(Chains.model(List.of(spec("tokens", DataType.INT64)), List.of())))
          .hasMessage("there is no input 'input_ids'; there is tokens");
      assertThatThrownBy(() ->
              step.describe(Chains.model(List.of(spec("input_ids", DataType.FP32)), List.of())))
          .hasMessageContaining("is FP32[-1,-1], and the tokenizer makes INT64");
    }
  }

  @Test
  void halvesOfUnequalNumber_areRefused() {
    try (Transformer step = tokenizer(Map.of("pair", "other"));
        InferenceRequest request =
            Chains.request(
                TensorMap.of(
                    "text", Tensor.copyOf(Shape.of(2), "a", "b"),
                    "other", Tensor.copyOf(Shape.of(1), "c")))) {
      assertThatThrownBy(() -> step.preprocess(request))
          .hasMessage("'text' has 2 texts and 'other' 1; they have to be as many");
    }
  }

  @Test
  void fileThatIsNone_isNamed() throws IOException {
    Path broken = Files.writeString(directory.resolve("broken.json"), "{\"version\":");
    assertThatThrownBy(() -> tokenizer(Map.of("file", "broken.json")))
        .hasMessageStartingWith(broken + " is not a tokenizer.json: ");
    Path empty = Files.writeString(directory.resolve("empty.json"), "{\"version\":\"1.0\"}");
    assertThatThrownBy(() -> tokenizer(Map.of("file", "empty.json")))
        .hasMessageStartingWith(empty + " is not a tokenizer.json: ");
    assertThatThrownBy(() -> tokenizer(Map.of("file", "none.json")))
        .hasMessageContaining("there is no file 'none.json'");
  }

  @Test
  void manyThreads_tokeniseAtOnce() throws Exception {
    try (Transformer step = tokenizer(Map.of())) {
      List<Thread> threads =
          Stream.generate(() ->
                  Thread.ofPlatform()
                      .unstarted(() -> {
                        for (int i = 0; i < 200; i++) {
                          try (InferenceRequest request = step.preprocess(texts("one two"))) {
                            if (tensor(request, "input_ids").toLongs().length != 4) {
                              return;
                            }
                          }
                        }
                        Thread.currentThread().setName("right");
                      }))
              .limit(4)
              .toList();
      threads.forEach(Thread::start);
      for (Thread thread : threads) {
        thread.join();
      }
      assertThat(threads).extracting(Thread::getName).containsOnly("right");
    }
  }

  @Test
  void fillingUp_onTheLeft_isWhatTheFileSays() throws IOException {
    String json = Files.readString(directory.resolve("tokenizer.json"));
    Files.writeString(
        directory.resolve("left.json"),
        json.replaceFirst("(\"padding\"[^}]*\\}[^}]*\"direction\": )\"Right\"", "$1\"Left\""));
    try (Transformer step = tokenizer(Map.of("file", "left.json", "pad-id", 7));
        InferenceRequest request = step.preprocess(texts("one", "one two"))) {
      assertThat(Arrays.copyOf(tensor(request, "input_ids").toLongs(), 4))
          .containsExactly(7, 101, 2028, 102);
      assertThat(Arrays.copyOf(tensor(request, "attention_mask").toLongs(), 4))
          .containsExactly(0, 1, 1, 1);
    }
  }
}
