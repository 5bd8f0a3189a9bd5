package dev.millrace.backend.tensorflow;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.CodedOutputStream;
import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.NvidiaDriver;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SavedModel;

/**
 * GPUs as far as a machine without any can tell: the engine puts what it lacks onto the processor.
 */
class TensorFlowGpusTest {
  private static final NvidiaDriver TWO_GPUS = new NvidiaDriver(true, 0, 2);
  private static final String GPU_1 = "/device:GPU:1";

  @TempDir private Path directory;

  private static ModelSource source(Path model, int gpu) {
    return new ModelSource(
        new ModelId("m", "1"),
        model,
        new Device(Device.Kind.GPU, gpu),
        3,
        2,
        Settings.empty("model.yaml"));
  }

  @Test
  void support_isThatOfTheBuildAndItsLibraries() {
    assertThat(TfDevices.support(false, TWO_GPUS, () -> 0))
        .isEqualTo(
            new GpuSupport.None(
                "its TensorFlow is the build for CPUs; use the image's variant 'gpu', or build with"
                    + " -Pgpu"));
    assertThat(TfDevices.support(true, NvidiaDriver.NONE, () -> 0))
        .isEqualTo(new GpuSupport.Ready());
    assertThat(TfDevices.support(true, TWO_GPUS, () -> 2)).isEqualTo(new GpuSupport.Ready());
    assertThat(TfDevices.support(true, TWO_GPUS, () -> 0))
        .isInstanceOfSatisfying(
            GpuSupport.Broken.class,
            broken -> assertThat(broken.reason()).contains("CUDA 12's or cuDNN 9's libraries"));
    assertThat(TfDevices.devices(2))
        .containsExactly(
            new Device(Device.Kind.GPU, 0), new Device(Device.Kind.GPU, 1), Device.CPU);
  }

  @Test
  void thisBuild_isForCpus_andSaysSo() {
    assertThat(TfDevices.isBuiltForGpus()).isFalse();
    TensorFlowBackend backend = new TensorFlowBackend();
    assertThat(backend.devices()).containsExactly(Device.CPU);
    assertThat(backend.gpuSupport()).isInstanceOf(GpuSupport.None.class);
  }

  @Test
  void session_takesGpuMemoryAsItNeedsIt_andHasAThreadForEachInstance() throws IOException {
    TensorFlowSettings settings = TensorFlowSettings.read(Settings.empty("model.yaml"));
    ConfigProto onGpu =
        ConfigProto.parseFrom(SessionConfig.of(source(directory, 1), settings).session());
    assertThat(onGpu.getGpuOptions().getAllowGrowth()).isTrue();
    assertThat(onGpu.getGpuOptions().getVisibleDeviceList()).isEmpty();
    assertThat(onGpu.getDeviceCountMap()).isEmpty();
    assertThat(onGpu.getAllowSoftPlacement()).isTrue();
    assertThat(onGpu.getInterOpParallelismThreads()).isEqualTo(3);
    ModelSource cpu =
        new ModelSource(
            new ModelId("m", "1"), directory, Device.CPU, 3, 2, Settings.empty("model.yaml"));
    ConfigProto onCpu = ConfigProto.parseFrom(SessionConfig.of(cpu, settings).session());
    assertThat(onCpu.getDeviceCountMap()).containsExactly(Map.entry("GPU", 0));
    assertThat(onCpu.getInterOpParallelismThreads()).isEqualTo(1);
  }

  @Test
  void nodes_areGivenTheDevice_exceptThoseOnAProcessor() throws IOException {
    MetaGraphDef.Builder metaGraph = MetaGraphDef.newBuilder();
    metaGraph.getMetaInfoDefBuilder().addTags("serve");
    metaGraph.getSaverDefBuilder().setRestoreOpName("restore");
    metaGraph
        .getGraphDefBuilder()
        .addNode(node("bare", ""))
        .addNode(node("other", "/job:localhost/device:GPU:0"))
        .addNode(node("host", "/device:CPU:0"))
        .getLibraryBuilder()
        .addFunction(FunctionDef.newBuilder().addNodeDef(node("inner", "")).putRet("y", "inner"));
    SavedModel model =
        SavedModel.newBuilder()
            .setSavedModelSchemaVersion(1)
            .addMetaGraphs(metaGraph)
            .addMetaGraphs(metaGraph)
            .build();

    MetaGraphDef.Builder expected = metaGraph.clone();
    expected.getGraphDefBuilder().getNodeBuilder(0).setDevice(GPU_1);
    expected.getGraphDefBuilder().getNodeBuilder(1).setDevice(GPU_1);
    expected
        .getGraphDefBuilder()
        .getLibraryBuilder()
        .getFunctionBuilder(0)
        .getNodeDefBuilder(0)
        .setDevice(GPU_1);
    assertThat(placed(model))
        .isEqualTo(
            SavedModel.newBuilder()
                .setSavedModelSchemaVersion(1)
                .addMetaGraphs(expected)
                .addMetaGraphs(expected)
                .build());
  }

  private static NodeDef.Builder node(String name, String device) {
    return NodeDef.newBuilder()
        .setName(name)
        .setOp("Identity" + "x".repeat(200)) // lengths of two bytes
        .addInput("x")
        .setDevice(device);
  }

  private static SavedModel placed(SavedModel model) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    PlacedSavedModel.place(ByteBuffer.wrap(model.toByteArray()), GPU_1, out);
    out.flush();
    return SavedModel.parseFrom(bytes.toByteArray());
  }

  @Test
  void copy_hasTheGraphAndLinksToTheRest_andGoes() throws IOException {
    SavedModels.simple().write(directory);
    Path variables = Files.createDirectories(directory.resolve("variables"));
    Files.writeString(variables.resolve("variables.index"), "kept");
    Path copy;
    try (PlacedSavedModel placed = PlacedSavedModel.of(directory, 1)) {
      copy = placed.directory();
      assertThat(copy.resolve("variables/variables.index")).hasContent("kept");
      SavedModel graph =
          SavedModel.parseFrom(Files.readAllBytes(copy.resolve(SavedModelDirectory.FILE_NAME)));
      assertThat(graph.getMetaGraphs(0).getGraphDef().getNodeList())
          .isNotEmpty()
          .allMatch(node -> node.getDevice().equals(GPU_1));
    }
    assertThat(copy).doesNotExist();
    assertThat(variables.resolve("variables.index")).hasContent("kept");
  }

  /** All of the way that a model takes to its GPU, which the engine then does without. */
  @Test
  void model_runsFromItsCopy() {
    for (int gpu = 0; gpu < 2; gpu++) {
      Path model = Path.of("..", "..", "examples", "half_plus_two", "1");
      try (TensorModel loaded = (TensorModel) new TensorFlowBackend().load(source(model, gpu));
          Predictor predictor = loaded.newPredictor();
          TensorMap inputs = TensorMap.of("x", Tensor.copyOf(Shape.of(2), 1f, 5f));
          TensorMap outputs = predictor.predict(inputs, List.of())) {
        assertThat(outputs.tensor(0).dataType()).isEqualTo(DataType.FP32);
        assertThat(outputs.tensor(0).toFloats()).containsExactly(2.5f, 4.5f);
      }
    }
  }
}
