package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TritonConfigTest {
  @TempDir private Path root;

  private TritonConfig read(String text) throws IOException {
    return TritonConfig.read(Trees.write(root, "config.pbtxt", text), List.of("onnx", "fake"));
  }

  @Test
  void everyPartThatMeansSomethingHere_isRead() throws IOException {
    TritonConfig config =
        read(
            """
            name: "densenet"
            platform: "onnxruntime_onnx"
            max_batch_size: 8
            input [
              {
                name: "data_0"
                data_type: TYPE_FP32
                format: FORMAT_NCHW
                dims: [ 3, 224, -1 ]
                reshape { shape: [ 1, 3, 224, -1 ] }
              }
            ]
            output [
              {
                name: "fc6_1"
                data_type: TYPE_STRING
                dims: [ 1000 ]
                label_filename: "labels.txt"
              }
            ]
            version_policy: { specific: { versions: [ 1, 3 ] } }
            instance_group [
              { count: 2 kind: KIND_CPU },
              { kind: KIND_GPU gpus: [ 0, 2 ] count: 1 },
              { }
            ]
            dynamic_batching {
              preferred_batch_size: [ 4, 8 ]
              max_queue_delay_microseconds: 100
              priority_levels: 3
              default_priority_level: 2
              default_queue_policy { max_queue_size: 7 default_timeout_microseconds: 5000 }
              priority_queue_policy { key: 3 value { default_timeout_microseconds: 1000 } }
            }
            parameters { key: "team" value: { string_value: "blue" } }
            default_model_filename: "densenet.onnx"
            model_warmup [
              {
                name: "zero"
                batch_size: 2
                inputs {
                  key: "data_0"
                  value: { data_type: TYPE_FP32 dims: [ 3, 224, 224 ] zero_data: true }
                }
              }
            ]
            optimization { graph { level: 1 } }
            """);
    assertThat(config.name()).hasValue("densenet");
    assertThat(config.options().backend()).hasValue("onnx");
    assertThat(config.options().maxBatchSize()).hasValue(8);
    assertThat(config.inputs())
        .singleElement()
        .satisfies(input -> {
          assertThat(input.dataType()).isEqualTo(DataType.FP32);
          assertThat(input.shape()).isEqualTo(Shape.of(-1, 3, 224, -1));
          assertThat(input.modelShape()).hasValue(Shape.of(-1, 1, 3, 224, -1));
        });
    assertThat(config.outputs())
        .singleElement()
        .satisfies(output -> assertThat(output.dataType()).isEqualTo(DataType.BYTES));
    assertThat(config.labelFiles()).containsEntry("fc6_1", "labels.txt");
    assertThat(config.options().versionPolicy())
        .hasValue(new VersionPolicy.Specific(List.of("1", "3")));
    DeviceChoice gpu = new DeviceChoice.Gpu(OptionalInt.empty());
    assertThat(config.options().groups())
        .containsExactly(
            new InstanceGroup(new DeviceChoice.Cpu(), Optional.of(2)),
            InstanceGroup.onEach(gpu, 1, List.of(0, 2)),
            InstanceGroup.onEach(new DeviceChoice.Auto(), 1, List.of()));
    assertThat(config.options().batching().preferredSizes()).containsExactly(4, 8);
    assertThat(config.options().batching().priorities())
        .hasValue(
            new PriorityLevels(
                3,
                2,
                Optional.of(7),
                Map.of(
                    3,
                    new PriorityLevels.QueuePolicy(
                        Optional.of(Duration.ofMillis(1)), Optional.empty()))));
    assertThat(config.options().batching().maxQueueDelay()).hasValue(Duration.ofNanos(100_000));
    assertThat(config.options().timeout()).hasValue(Duration.ofMillis(5));
    assertThat(config.parameters()).containsEntry("team", "blue");
    assertThat(config.defaultFilename()).hasValue("densenet.onnx");
    assertThat(config.warmUps())
        .singleElement()
        .satisfies(sample -> assertThat(sample.rows()).isEqualTo(2));
    assertThat(config.ignored()).containsExactly("optimization (line 47)");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "platform: 'tensorrt_plan' | 1: platform: expected one of onnxruntime, onnxruntime_onnx, onnx, fake, got 'tensorrt_plan'",
        "input { data_type: TYPE_FP32 dims: 1 } | 1: input.name: expected a name, got ''",
        "input { name: 'a' data_type: FP32 dims: 1 } | 1: input.data_type: expected a type, as TYPE_FP32 or TYPE_STRING, got 'FP32'",
        "input { name: 'a' data_type: TYPE_FP32 } | 1: input.dims: expected sizes, -1 where any will do, as in [ 3, 224, 224 ], got ''",
        "input { name: 'a' data_type: TYPE_FP32 dims: -2 } | 1: input.dims: expected a whole number from -1 to 2147483647, got '-2'",
        "input { name: 'a' data_type: TYPE_FP32 dims: 4 reshape { shape: [ 2, 3 ] } } | 1: input.reshape: expected a shape of as many elements, and as many -1, as dims have, got '{…}'",
        "max_batch_size: -1 | 1: max_batch_size: expected a whole number from 0 to 1048576, got '-1'",
        "version_policy { } | 1: version_policy: expected one of latest, all and specific, got '{…}'",
        "instance_group { kind: CPU } | 1: instance_group.kind: expected KIND_AUTO, KIND_CPU, KIND_GPU or KIND_MODEL, got 'CPU'",
        "instance_group { kind: KIND_CPU gpus: 1 } | 1: instance_group.gpus: expected none beside KIND_CPU, got '1'",
        "ensemble_scheduling { } | 1: ensemble_scheduling: expected dynamic_batching or nothing, as these models are not served here, got '{…}'",
        "model_warmup { } | 1: model_warmup.inputs: expected at least one input, got ''",
      })
  void whatDoesNotDo_isRefusedWithFileAndLine(String text, String problem) {
    assertThatThrownBy(() -> read(text)).hasMessage(root.resolve("config.pbtxt") + ":" + problem);
  }

  @Test
  void dynamicBatching_thatDoesNotDo_isRefusedWithFileAndLine() {
    assertThatThrownBy(
            () -> read("\ndynamic_batching { default_queue_policy { timeout_action: LATER } }"))
        .hasMessage(
            root.resolve("config.pbtxt")
                + ":2: dynamic_batching: default_queue_policy.timeout_action: expected REJECT or"
                + " DELAY, got 'LATER'");
  }

  @Test
  void defaults_areThoseOfTriton() throws IOException {
    TritonConfig config = read("");
    assertThat(config.options()).isEqualTo(ModelOptions.none());
    assertThat(config.batched()).isFalse();
    assertThat(read("input { name: 'a' data_type: TYPE_BF16 dims: [ 2 ] }").inputs())
        .singleElement()
        .satisfies(input -> assertThat(input.shape()).isEqualTo(Shape.of(2)));
  }
}
