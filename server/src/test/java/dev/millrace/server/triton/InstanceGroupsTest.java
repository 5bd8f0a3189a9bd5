package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import dev.millrace.proto.inference.ModelInstanceGroup;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.Placement;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The instance groups of a model on several devices, as Triton's clients see them. */
class InstanceGroupsTest {
  @Test
  void everyDevice_hasAGroup() {
    List<TensorSpec> tensors = List.of(new TensorSpec("X", DataType.FP32, Shape.of(-1, 2)));
    ModelMetadata metadata =
        new ModelMetadata(new ModelId("m", "1"), "test_v1", tensors, tensors, 8, Map.of());
    ModelDescription model =
        new ModelDescription(
            metadata,
            List.of("1"),
            List.of(
                new Placement(new Device(Device.Kind.GPU, 0), 2, 1),
                new Placement(new Device(Device.Kind.GPU, 3), 1, 1),
                new Placement(Device.CPU, 4, 2)),
            ModelOptions.none(),
            Map.of(),
            Optional.empty(),
            false);
    assertThat(model.devices()).isEqualTo("gpu:0, gpu:3, cpu");
    assertThat(model.instances()).isEqualTo(7);
    assertThat(ConfigurationMessages.of(model).getInstanceGroupList())
        .containsExactly(
            group(ModelInstanceGroup.Kind.KIND_GPU, 2).addGpus(0).build(),
            group(ModelInstanceGroup.Kind.KIND_GPU, 1).addGpus(3).build(),
            group(ModelInstanceGroup.Kind.KIND_CPU, 4).build());
  }

  private static ModelInstanceGroup.Builder group(ModelInstanceGroup.Kind kind, int count) {
    return ModelInstanceGroup.newBuilder().setName("m").setKind(kind).setCount(count);
  }
}
