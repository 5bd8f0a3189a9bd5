package dev.millrace.backend.tensorflow;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.millrace.api.DataType;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.testing.TensorLeakExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.Example;
import org.tensorflow.proto.Feature;
import org.tensorflow.proto.Features;
import org.tensorflow.proto.FloatList;

@ExtendWith(TensorLeakExtension.class)
class HalfPlusTwoTest {
  /** Surefire runs tests in the module's directory. */
  private static final Path EXAMPLE = Path.of("..", "..", "examples", "half_plus_two", "1");

  @Test
  void committedModel_isWhatTheGeneratorWrites(@TempDir Path directory) throws IOException {
    HalfPlusTwo.main(new String[] {directory.toString()});
    Path written = directory.resolve("half_plus_two").resolve("1");
    try (Stream<Path> files = Files.walk(written)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        assertThat(EXAMPLE.resolve(written.relativize(file)))
            .hasBinaryContent(Files.readAllBytes(file));
      }
    }
  }

  @Test
  void defaultSignature_isTheModel() {
    try (TensorFlowFixture model = TensorFlowFixture.of(EXAMPLE)) {
      ModelMetadata metadata = model.model.metadata();
      assertThat(metadata.platform()).isEqualTo("tensorflow_savedmodel");
      assertThat(metadata.inputs())
          .containsExactly(new TensorSpec("x", DataType.FP32, Shape.of(-1)));
      assertThat(metadata.outputs())
          .containsExactly(new TensorSpec("y", DataType.FP32, Shape.of(-1)));
      assertThat(metadata.maxBatchSize()).isEqualTo(Integer.MAX_VALUE);
      assertThat(metadata.properties())
          .containsEntry("signature", "serving_default")
          .containsEntry("signatures", "classify_x_to_y, regress_x_to_y, serving_default")
          .containsEntry("producer", "TensorFlow 2.18.0")
          .containsKey("tensorflow");
      try (TensorMap outputs =
          model.predict(TensorMap.of("x", Tensor.copyOf(Shape.of(3), 1, 2, 5f)))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2.5f, 3, 4.5f);
      }
    }
  }

  @Test
  void everySignature_isAModelOfItsOwn() {
    try (TensorModel model = TensorFlowFixture.load(EXAMPLE, Map.of())) {
      assertThat(model.signatures())
          .containsOnlyKeys("serving_default", "classify_x_to_y", "regress_x_to_y");
      TensorModel classify = TensorFlowFixture.signature(model, "classify_x_to_y");
      assertThat(classify.metadata().properties())
          .containsEntry("signature", "classify_x_to_y")
          .containsEntry("method-name", "tensorflow/serving/classify")
          .containsEntry("input.inputs", "tf_example:0")
          .containsEntry("output.scores", "scores:0");
      try (Predictor predictor = classify.newPredictor();
          TensorMap inputs = TensorMap.of("inputs", examples(1, 2, 5));
          TensorMap outputs = predictor.predict(inputs, List.of())) {
        assertThat(outputs.tensor(0).shape()).isEqualTo(Shape.of(3, 1));
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2.5f, 3, 4.5f);
      }
      TensorModel regress = TensorFlowFixture.signature(model, "regress_x_to_y");
      try (Predictor predictor = regress.newPredictor();
          TensorMap inputs = TensorMap.of("inputs", examples(4));
          TensorMap outputs = predictor.predict(inputs, List.of("outputs"))) {
        assertThat(outputs.tensor(0).toFloats()).containsExactly(4);
      }
    }
  }

  @Test
  void signature_ofTheSettings_isTheModel() {
    try (TensorModel model =
        TensorFlowFixture.load(EXAMPLE, Map.of("signature", "regress_x_to_y"))) {
      assertThat(model.metadata().inputs())
          .containsExactly(new TensorSpec("inputs", DataType.BYTES, Shape.of(-1)));
      assertThat(model.metadata().properties()).containsEntry("signature", "regress_x_to_y");
    }
  }

  /** A tf.Example with the feature x for each value. */
  static Tensor examples(float... values) {
    List<byte[]> examples = new ArrayList<>();
    for (float value : values) {
      examples.add(example(value).toByteArray());
    }
    return Tensor.copyOf(Shape.of(values.length), examples);
  }

  static ByteString example(float value) {
    return Example.newBuilder()
        .setFeatures(
            Features.newBuilder()
                .putFeature(
                    "x",
                    Feature.newBuilder()
                        .setFloatList(FloatList.newBuilder().addValue(value))
                        .build()))
        .build()
        .toByteString();
  }
}
