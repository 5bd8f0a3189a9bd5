package dev.millrace.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.DataType;
import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every {@link Backend} of tensors keeps to, whatever its engine: datatypes, who owns what,
 * closing, errors. A backend's tests extend it and say which engine that is.
 *
 * <p>The model of most tests has one input and one output, which is the same.
 */
@ExtendWith(TensorLeakExtension.class)
@TestInstance(Lifecycle.PER_CLASS)
public abstract class BackendContract {
  private static final int SEED = 7;

  /** What this engine's backend is made of. */
  private final Backend backend;

  private final List<DataType> dataTypes;
  private final Random random = new Random(SEED);

  @TempDir private Path directory;
  private int written;

  /**
   * A contract of one backend.
   *
   * @param dataTypes those that its engine has
   */
  protected BackendContract(Backend backend, List<DataType> dataTypes) {
    this.backend = backend;
    this.dataTypes = List.copyOf(dataTypes);
  }

  /**
   * Writes a model that gives its only input back as its only output; every size of that many
   * dimensions is open.
   *
   * @param empty a directory
   * @return what {@link Backend#findModel} finds it in
   */
  protected abstract Path writeIdentity(Path empty, DataType type, int rank) throws IOException;

  /** Writes files that look like a model by their names, and are none; as above. */
  protected abstract Path writeGarbage(Path empty) throws IOException;

  /** Random bits as the engine gives them back, if it does not keep all; by default as they are. */
  protected byte[] representable(DataType type, byte[] bits) {
    return bits;
  }

  /** The datatypes that the engine has. */
  protected final List<DataType> dataTypes() {
    return dataTypes;
  }

  private Path empty() throws IOException {
    return Files.createDirectory(directory.resolve("model" + written++));
  }

  private ModelSource source(Path place, Map<String, Object> settings) {
    return new ModelSource(
        new ModelId("contract", "1"),
        backend.findModel(place).orElseThrow(),
        Device.CPU,
        2,
        1,
        Settings.of("model.yaml", settings));
  }

  private TensorModel identity(DataType type, int rank) throws IOException {
    return (TensorModel) backend.load(source(writeIdentity(empty(), type, rank), Map.of()));
  }

  /** The name of the only input, which a model need not declare. */
  protected String inputName() {
    return "INPUT0";
  }

  private static void assertSame(Tensor actual, Tensor expected) {
    assertThat(actual.dataType()).isEqualTo(expected.dataType());
    assertThat(actual.shape()).isEqualTo(expected.shape());
    assertThat(actual.data()).isEqualTo(expected.data());
  }

  private void assertIdentity(Predictor predictor, Tensor tensor) {
    try (TensorMap inputs = TensorMap.of(inputName(), tensor);
        TensorMap outputs = predictor.predict(inputs, List.of())) {
      assertThat(outputs.size()).isEqualTo(1);
      assertSame(outputs.tensor(0), tensor);
    }
  }

  private Tensor random(DataType type, Shape shape) {
    int count = (int) shape.elementCount();
    if (type == DataType.BYTES) {
      List<byte[]> elements = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        elements.add(randomBytes(random.nextInt(40)));
      }
      return Tensor.copyOf(shape, elements);
    }
    byte[] bits = randomBytes(count * type.byteSize());
    if (type == DataType.BOOL) {
      for (int i = 0; i < bits.length; i++) {
        bits[i] &= 1;
      }
    }
    return Tensor.copyOf(type, shape, ByteBuffer.wrap(representable(type, bits)));
  }

  private byte[] randomBytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  // Datatypes

  @ParameterizedTest
  @MethodSource("dataTypes")
  protected final void everyDatatype_comesBackAsItWent(DataType type) throws IOException {
    try (TensorModel model = identity(type, 3);
        Predictor predictor = model.newPredictor()) {
      for (Shape shape : List.of(Shape.of(1, 1, 3), Shape.of(5, 7, 3), Shape.of(2, 0, 3))) {
        assertIdentity(predictor, random(type, shape));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dataTypes")
  protected final void scalarAndNothing_comeBackAsTheyWent(DataType type) throws IOException {
    try (TensorModel model = identity(type, 0);
        Predictor predictor = model.newPredictor()) {
      assertIdentity(predictor, random(type, Shape.scalar()));
    }
    try (TensorModel model = identity(type, 1);
        Predictor predictor = model.newPredictor()) {
      assertIdentity(predictor, random(type, Shape.of(0)));
    }
  }

  @ParameterizedTest
  @MethodSource("dataTypes")
  protected final void unalignedBytes_comeBackAsTheyWent(DataType type) throws IOException {
    try (TensorModel model = identity(type, 1);
        Predictor predictor = model.newPredictor();
        Tensor aligned = random(type, Shape.of(9))) {
      ByteBuffer memory = ByteBuffer.allocateDirect(aligned.byteSize() + 1);
      memory.put(1, aligned.data(), 0, aligned.byteSize());
      assertIdentity(predictor, Tensor.wrap(type, aligned.shape(), memory.position(1)));
    }
  }

  @Test
  protected final void bytes_thatAreNotText_comeBackAsTheyWent() throws IOException {
    if (!dataTypes.contains(DataType.BYTES)) {
      return;
    }
    byte[] all = new byte[256];
    for (int i = 0; i < all.length; i++) {
      all[i] = (byte) i;
    }
    // About the lengths at which engines store texts in another way.
    List<byte[]> elements =
        List.of(
            all,
            new byte[0],
            new byte[] {0},
            new byte[] {(byte) 0xC3},
            new byte[22],
            new byte[23],
            new byte[70_000]);
    try (TensorModel model = identity(DataType.BYTES, 1);
        Predictor predictor = model.newPredictor()) {
      assertIdentity(predictor, Tensor.copyOf(Shape.of(elements.size()), elements));
    }
  }

  // Ownership

  @ParameterizedTest
  @MethodSource("dataTypes")
  protected final void inputs_stayTheCallers_andOutputsOutliveThem(DataType type)
      throws IOException {
    try (TensorModel model = identity(type, 1);
        Predictor predictor = model.newPredictor();
        Tensor expected = random(type, Shape.of(40))) {
      TensorMap inputs =
          TensorMap.of(inputName(), Tensor.copyOf(type, expected.shape(), expected.data()));
      try (TensorMap outputs = predictor.predict(inputs, List.of())) {
        assertSame(inputs.tensor(0), expected);
        inputs.close();
        // The pool gives the memory of the input to the next tensor.
        try (Tensor _ = random(type, Shape.of(40))) {
          assertSame(outputs.tensor(0), expected);
        }
      }
    }
  }

  @Test
  protected final void outputs_outliveThePredictorAndTheModel() throws IOException {
    DataType type = DataType.FP32;
    try (Tensor expected = random(type, Shape.of(40))) {
      TensorMap outputs;
      try (TensorModel model = identity(type, 1);
          Predictor predictor = model.newPredictor();
          TensorMap inputs =
              TensorMap.of(inputName(), Tensor.copyOf(type, expected.shape(), expected.data()))) {
        outputs = predictor.predict(inputs, List.of());
      }
      try (outputs) {
        assertSame(outputs.tensor(0), expected);
      }
    }
  }

  @Test
  protected final void requestedOutput_isTheOnlyOne() throws IOException {
    try (TensorModel model = identity(DataType.FP32, 2);
        Predictor predictor = model.newPredictor();
        TensorMap inputs = TensorMap.of(inputName(), random(DataType.FP32, Shape.of(2, 3)));
        TensorMap all = predictor.predict(inputs, List.of());
        TensorMap one = predictor.predict(inputs, List.of(all.name(0)))) {
      assertThat(one.size()).isEqualTo(1);
      assertThat(one.name(0)).isEqualTo(all.name(0));
      assertSame(one.tensor(0), all.tensor(0));
    }
  }

  // Threads and closing

  @Test
  protected final void predictors_runAtTheSameTime_andGoOneByOne() throws IOException {
    try (TensorModel model = identity(DataType.FP32, 2);
        Predictor stays = model.newPredictor()) {
      Predictor goes = model.newPredictor();
      List<CompletableFuture<Void>> runs = new ArrayList<>();
      for (Predictor predictor : List.of(stays, goes)) {
        List<Tensor> tensors = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
          tensors.add(random(DataType.FP32, Shape.of(1 + i % 5, 3)));
        }
        CompletableFuture<Void> run = new CompletableFuture<>();
        Thread.ofPlatform()
            .start(() -> {
              try {
                tensors.forEach(tensor -> assertIdentity(predictor, tensor));
                run.complete(null);
              } catch (Throwable e) {
                run.completeExceptionally(e);
              }
            });
        runs.add(run);
      }
      runs.forEach(CompletableFuture::join);
      goes.close();
      assertIdentity(stays, random(DataType.FP32, Shape.of(4, 4)));
    }
  }

  @Test
  protected final void modelWithoutPredictors_isFreed_andLoadsAgain() throws IOException {
    ModelSource source = source(writeIdentity(empty(), DataType.FP32, 2), Map.of());
    for (int i = 0; i < 3; i++) {
      try (TensorModel model = (TensorModel) backend.load(source)) {
        assertThat(model.metadata().id()).isEqualTo(source.id());
      }
    }
  }

  // Errors

  @Test
  protected final void filesThatAreNoModel_areRefusedInOneLine() throws IOException {
    Path place = writeGarbage(empty());
    assertThatThrownBy(() -> backend.load(source(place, Map.of())).close())
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessageContaining(directory.toString())
        .message()
        .doesNotContain("\n");
  }

  @Test
  protected final void unknownSetting_isRefusedByItsName() throws IOException {
    ModelSource source = source(writeIdentity(empty(), DataType.FP32, 2), Map.of("no-such-key", 1));
    assertThatThrownBy(() -> backend.load(source).close())
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT))
        .hasMessageContaining("model.yaml: unknown key 'no-such-key'");
  }

  // Finding

  @Test
  protected final void findModel_looksIntoADirectory_andNotBelowIt() throws IOException {
    assertThat(backend.findModel(empty())).isEmpty();
    Path place = writeIdentity(empty(), DataType.FP32, 2);
    Path found = backend.findModel(place).orElseThrow();
    assertThat(found).exists();
    assertThat(backend.findModel(found)).as("what it found, given by itself").contains(found);
    Path above = empty();
    Files.createDirectories(above.resolve("below"));
    writeIdentity(above.resolve("below"), DataType.FP32, 2);
    assertThat(backend.findModel(above)).isEmpty();
  }

  // Devices

  @Test
  protected final void devices_areKnown_andGpusOnlyWithSupportForThem() {
    List<Device> devices = backend.devices();
    assertThat(devices).isNotEmpty().doesNotHaveDuplicates().contains(Device.CPU);
    if (devices.size() > 1) {
      assertThat(devices.getFirst().kind()).as("best first").isEqualTo(Device.Kind.GPU);
      assertThat(backend.gpuSupport()).isEqualTo(new GpuSupport.Ready());
    } else {
      String why =
          switch (backend.gpuSupport()) {
            case GpuSupport.None(String reason) -> reason;
            case GpuSupport.Broken(String reason) -> reason;
            case GpuSupport.Ready() -> "there is none";
          };
      assertThat(why).isNotBlank().doesNotContain("\n");
    }
  }
}
