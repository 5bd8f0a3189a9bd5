package dev.millrace.backend.tensorflow;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.testing.TensorLeakExtension;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@ExtendWith(TensorLeakExtension.class)
class TensorFlowDatatypesTest {
  @TempDir Path directory;

  private final Random random = new Random(7);

  @ParameterizedTest
  @EnumSource(DataType.class)
  void everyDatatype_isDeclared(DataType type) {
    Shape declared = Shape.of(-1, -1, 3);
    try (TensorFlowFixture model =
        TensorFlowFixture.of(directory, SavedModels.identity(type, declared))) {
      assertThat(model.model.metadata().inputs())
          .containsExactly(new TensorSpec("INPUT0", type, declared));
      assertIdentity(model, random(type, Shape.of(2, 1, 3)));
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void anyRank_takesScalarsMatricesAndNothing(DataType type) {
    try (TensorFlowFixture model =
        TensorFlowFixture.of(directory, SavedModels.identity(type, Shape.ANY_RANK))) {
      assertThat(model.model.metadata().inputs().getFirst().shape()).isEqualTo(Shape.ANY_RANK);
      assertThat(model.model.metadata().isBatchable()).isFalse();
      for (Shape shape :
          List.of(Shape.scalar(), Shape.of(2, 3), Shape.of(0, 4), Shape.of(4, 0), Shape.of(0))) {
        assertIdentity(model, random(type, shape));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void graphsThatKeepTheirInput_haveMemoryOfTheirOwn(DataType type) {
    Path saved = SavedModels.memory(type).write(directory);
    try (var model = TensorFlowFixture.load(saved, Map.of("signature", "put"));
        var put = model.newPredictor();
        var get = TensorFlowFixture.signature(model, "get").newPredictor();
        Tensor kept = random(type, Shape.of(40))) {
      try (TensorMap inputs =
          TensorMap.of("VALUE", Tensor.copyOf(type, kept.shape(), kept.data()))) {
        put.predict(inputs, List.of()).close();
      }
      // The pool gives the memory of the input to the next tensor.
      try (Tensor _ = random(type, Shape.of(40));
          TensorMap outputs = get.predict(TensorMap.empty(), List.of())) {
        assertThat(outputs.tensor(0).data()).isEqualTo(kept.data());
      }
    }
  }

  @Test
  void truthValues_areOneBit() {
    try (TensorFlowFixture model =
            TensorFlowFixture.of(directory, SavedModels.identity(DataType.BOOL, Shape.of(-1)));
        TensorMap outputs =
            model.predict(
                TensorMap.of(
                    "INPUT0",
                    Tensor.copyOf(
                        DataType.BOOL, Shape.of(4), ByteBuffer.wrap(new byte[] {0, 1, 2, -1}))))) {
      assertThat(outputs.tensor(0).data()).isEqualTo(ByteBuffer.wrap(new byte[] {0, 1, 1, 1}));
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
    byte[] bytes = randomBytes(count * type.byteSize());
    if (type == DataType.BOOL) {
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] &= 1;
      }
    }
    return Tensor.copyOf(type, shape, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
  }

  private byte[] randomBytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  private static void assertIdentity(TensorFlowFixture model, Tensor tensor) {
    try (TensorMap inputs = TensorMap.of("INPUT0", tensor);
        TensorMap outputs = model.predictor.predict(inputs, List.of())) {
      Tensor output = outputs.tensor(0);
      assertThat(outputs.name(0)).isEqualTo("OUTPUT0");
      assertThat(output.dataType()).isEqualTo(tensor.dataType());
      assertThat(output.shape()).isEqualTo(tensor.shape());
      assertThat(output.data()).isEqualTo(tensor.data());
    }
  }
}
