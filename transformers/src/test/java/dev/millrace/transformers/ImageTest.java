package dev.millrace.transformers;

import static java.nio.charset.StandardCharsets.US_ASCII;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** See {@code src/test/python/make_pictures.py}. */
@ExtendWith(TensorLeakExtension.class)
class ImageTest {
  private static final Path PICTURES = Path.of("src/test/resources/pictures");

  private static ModelMetadata model(DataType type, long... dims) {
    return Chains.model(List.of(new TensorSpec("pixels", type, Shape.of(dims))), List.of());
  }

  private static InferenceRequest request(byte[]... files) {
    return Chains.request(
        TensorMap.of("image", Tensor.copyOf(Shape.of(files.length), List.of(files))));
  }

  private static byte[] picture(String name) throws IOException {
    return Files.readAllBytes(PICTURES.resolve(name));
  }

  private static float[] pillow(String name) throws IOException {
    String[] numbers = Files.readString(PICTURES.resolve(name + ".txt")).strip().split("\\s+", -1);
    float[] values = new float[numbers.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = Float.parseFloat(numbers[i]);
    }
    return values;
  }

  private static float[] pixels(ModelMetadata model, Map<String, Object> options, byte[]... files) {
    try (Transformer step = Chains.step(new Image(), options)) {
      ModelMetadata outer = step.describe(model);
      assertThat(outer.inputs())
          .containsExactly(new TensorSpec("image", DataType.BYTES, Shape.of(-1)));
      try (InferenceRequest made = step.preprocess(request(files))) {
        assertThat(made.inputs().names()).containsExactly("pixels");
        assertThat(model.inputs().getFirst().shape().accepts(made.inputs().tensor(0).shape()))
            .isTrue();
        return Numbers.toFloats(made.inputs().tensor(0));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "colours.png, 1",
    "colours.jpg, 3",
    "colours.webp, 1",
    "lossy.webp, 6",
    "grey.png, 1",
    "grey.jpg, 3",
    "palette.png, 1",
    "transparent.png, 1",
    "deep.png, 1.5",
    "inks.jpg, 4",
    "ycck.jpg, 5",
    "turned.jpg, 3",
    "turned.png, 1",
    "turned.webp, 1"
  })
  void pictures_areDecodedAndResized_asPillowDoes(String name, float tolerance) throws IOException {
    float[] pixels = pixels(model(DataType.FP32, -1, 3, 8, 8), Map.of("scale", 1), picture(name));
    assertThat(pixels).containsExactly(pillow(name), Offset.offset(tolerance));
  }

  @Test
  void whereOrientationIsStored_theCamerasNoteIsNotFollowed() throws IOException {
    float[] pixels =
        pixels(
            model(DataType.FP32, -1, 3, 8, 8),
            Map.of("scale", 1, "orientation", "stored"),
            picture("turned.png"));
    assertThat(pixels).containsExactly(pillow("colours.png"), Offset.offset(1f));
  }

  /** The rows of a picture 0 1 2 / 3 4 5, when it is held as its orientation says. */
  @ParameterizedTest
  @CsvSource({
    "1, 0 1 2 / 3 4 5",
    "2, 2 1 0 / 5 4 3",
    "3, 5 4 3 / 2 1 0",
    "4, 3 4 5 / 0 1 2",
    "5, 0 3 / 1 4 / 2 5",
    "6, 3 0 / 4 1 / 5 2",
    "7, 5 2 / 4 1 / 3 0",
    "8, 2 5 / 1 4 / 0 3"
  })
  void everyOrientation_isTurnedUpright(int orientation, String rows) {
    Picture turned = new Picture(3, 2, new float[] {0, 1, 2, 3, 4, 5}).turned(orientation);
    StringBuilder shown = new StringBuilder();
    for (int i = 0; i < 6; i++) {
      shown.append(i == 0 ? "" : i % turned.width() == 0 ? " / " : " ");
      shown.append((int) turned.plane(0)[i]);
    }
    assertThat(shown).hasToString(rows);
  }

  @Test
  void base64_andSeveralPictures_andColourOrder() throws IOException {
    byte[] text = Base64.getEncoder().encode(picture("colours.png"));
    float[] both =
        pixels(
            model(DataType.UINT8, -1, 3, 8, 8), Map.of("colour", "bgr"), text, picture("grey.png"));
    float[] rgb = pillow("colours.png");
    assertThat(Arrays.copyOfRange(both, 0, 64))
        .containsExactly(Arrays.copyOfRange(rgb, 128, 192), Offset.offset(1f));
    assertThat(Arrays.copyOfRange(both, 192, 384))
        .containsExactly(pillow("grey.png"), Offset.offset(1f));
  }

  @Test
  void layout_greyAndNormalisation() throws IOException {
    float[] planar =
        pixels(
            model(DataType.FP32, -1, 3, 8, 8),
            Map.of("mean", 0.5, "std", 0.25),
            picture("colours.png"));
    float[] mixed =
        pixels(
            model(DataType.FP32, -1, -1, -1, 3),
            Map.of("size", List.of(8, 8)),
            picture("colours.png"));
    float[] grey = pixels(model(DataType.FP32, -1, 1, 8, 8), Map.of(), picture("colours.png"));
    for (int i = 0; i < 64; i++) {
      assertThat(mixed[i * 3 + 1]).isCloseTo(planar[64 + i] * 0.25f + 0.5f, Offset.offset(1e-5f));
      assertThat(grey[i])
          .isCloseTo(
              0.299f * mixed[i * 3] + 0.587f * mixed[i * 3 + 1] + 0.114f * mixed[i * 3 + 2],
              Offset.offset(1e-5f));
    }
  }

  @Test
  void fit_padsStretchesAndResizesFirst() throws IOException {
    ModelMetadata model = model(DataType.FP32, -1, 3, 8, 8);
    float[] padded = pixels(model, Map.of("fit", "pad", "pad-value", 255), picture("colours.png"));
    assertThat(Arrays.copyOf(padded, 8)).containsOnly(1f);
    float[] stretched = pixels(model, Map.of("fit", "stretch"), picture("colours.png"));
    assertThat(stretched[7]).isGreaterThan(stretched[0] + 0.7f);
    float[] middle = pixels(model, Map.of("resize", 16), picture("colours.png"));
    assertThat(middle[7] - middle[0]).isLessThan((stretched[7] - stretched[0]) / 2);
  }

  @Test
  void whatIsNoPicture_orTooLarge_isRefused_andTold() throws IOException {
    ModelMetadata model = model(DataType.FP32, -1, 3, 8, 8);
    byte[] cut = Arrays.copyOf(picture("colours.png"), 60);
    byte[] bomb = picture("colours.png");
    bomb[18] = 0x7f; // a width of 2130706472
    bomb[16] = 0x7f;
    List<Map.Entry<byte[], String>> wrong =
        List.of(
            Map.entry("not a picture".getBytes(US_ASCII), "expected a JPEG, PNG or WebP picture"),
            Map.entry(new byte[0], "expected a JPEG, PNG or WebP picture"),
            Map.entry(cut, "the picture cannot be decoded"),
            Map.entry(bomb, "more than the 16777216 pixels that are allowed"));
    try (Transformer step = Chains.step(new Image(), Map.of())) {
      step.describe(model);
      for (Map.Entry<byte[], String> each : wrong) {
        try (InferenceRequest request = request(each.getKey())) {
          assertThatThrownBy(() -> step.preprocess(request))
              .isInstanceOfSatisfying(
                  InferenceException.class,
                  e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
              .hasMessageStartingWith("'image' in row 0: ")
              .hasMessageContaining(each.getValue());
        }
      }
    }
  }

  @Test
  void brokenFiles_neverDoMoreThanFail() throws IOException {
    java.util.Random random = new java.util.Random(5);
    try (Transformer step = Chains.step(new Image(), Map.of());
        Stream<Path> files = Files.list(PICTURES)) {
      step.describe(model(DataType.FP32, -1, 3, 8, 8));
      for (Path file : files.filter(path -> !path.toString().endsWith(".txt")).sorted().toList()) {
        byte[] bytes = Files.readAllBytes(file);
        for (int i = 0; i < 60; i++) {
          byte[] broken = bytes.clone();
          for (int j = 0; j < 3; j++) {
            broken[12 + random.nextInt(broken.length - 12)] = (byte) random.nextInt(256);
          }
          InferenceRequest request = request(broken);
          try {
            request = step.preprocess(request);
          } catch (InferenceException e) {
            assertThat(e.code()).as("%s", e.getMessage()).isEqualTo(ErrorCode.INVALID_ARGUMENT);
          } finally {
            request.close();
          }
        }
      }
    }
  }

  @Test
  void modelThatTakesNoPictures_isRefused() {
    try (Transformer step = Chains.step(new Image(), Map.of())) {
      assertThatThrownBy(() -> step.describe(model(DataType.FP32, -1, 3)))
          .hasMessageContaining("expected numbers of 4 dimensions");
      assertThatThrownBy(() -> step.describe(model(DataType.FP32, -1, 3, -1, -1)))
          .hasMessageContaining("the option 'size' has to say");
      assertThatThrownBy(() -> step.describe(model(DataType.FP32, -1, 4, 8, 8)))
          .hasMessageContaining("4 channels in NCHW; expected 1 or 3");
    }
  }
}
