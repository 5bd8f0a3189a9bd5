package dev.millrace.distribution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import dev.millrace.runtime.Plugins;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The ready-made transformers of the assembled layout, behind a class loader of their own. */
class TransformerIsolationTest {
  private static final Path FOLDER = Path.of(System.getProperty("millrace.home"), "transformers");

  /** The smallest tokenizer there is: whole words, of which it knows two. */
  private static final String TOKENIZER =
      """
      {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
       "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
       "decoder": null,
       "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "mill": 1, "race": 2},
                 "unk_token": "[UNK]"}}
      """;

  private final List<TransformerFactory> factories = Plugins.inFolder(FOLDER).transformers();

  private TransformerFactory factory(String name) {
    return factories.stream()
        .filter(factory -> factory.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void steps_areThere_inTheirOwnClassLoader() {
    assertThat(factories)
        .extracting(TransformerFactory::name)
        .contains("tokenizer", "pooling", "image", "columns");
    assertThat(factories)
        .extracting(factory -> factory.getClass().getClassLoader())
        .containsOnly(factory("image").getClass().getClassLoader())
        .doesNotContain(getClass().getClassLoader());
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void tokenizer_runsFromTheUnpackedLibrary(@TempDir Path directory) throws IOException {
    Files.writeString(directory.resolve("tokenizer.json"), TOKENIZER);
    try (Transformer tokenizer = create("tokenizer", directory);
        InferenceRequest request =
            tokenizer.preprocess(
                InferenceRequest.of(
                    "m", TensorMap.of("text", Tensor.copyOf(Shape.of(1), "race mill"))))) {
      assertThat(request.inputs().tensor(0).toLongs()).containsExactly(2, 1);
      assertThat(Files.readString(Path.of("/proc/self/maps"))).contains(FOLDER + "/native/");
    }
  }

  /** Its constructor loads the decoder of WebP. */
  @Test
  void image_hasItsLibraries(@TempDir Path directory) {
    create("image", directory).close();
  }

  private Transformer create(String name, Path directory) {
    return factory(name)
        .create(
            new TransformerSource(
                new ModelId("m", "1"), List.of(directory), Settings.of("test", Map.of())));
  }
}
