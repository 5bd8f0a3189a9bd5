package dev.millrace.backend.tensorflow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.testing.TensorLeakExtension;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.proto.TensorProto;

@ExtendWith(TensorLeakExtension.class)
class TensorProtosTest {
  @ParameterizedTest
  @EnumSource(DataType.class)
  void lastValue_standsForTheRest(DataType type) {
    TensorProto.Builder proto = proto(type, Shape.of(4));
    for (int value = 0; value < 2; value++) {
      switch (type) {
        case FP32 -> proto.addFloatVal(value);
        case FP64 -> proto.addDoubleVal(value);
        case INT8, INT16, INT32, UINT8, UINT16 -> proto.addIntVal(value);
        case INT64 -> proto.addInt64Val(value);
        case UINT32 -> proto.addUint32Val(value);
        case UINT64 -> proto.addUint64Val(value);
        case BOOL -> proto.addBoolVal(value == 1);
        case FP16, BF16 -> proto.addHalfVal(value);
        case BYTES -> proto.addStringVal(ByteString.copyFromUtf8("" + value));
      }
    }
    try (Tensor tensor = TensorProtos.tensor(proto.build())) {
      assertThat(tensor.dataType()).isEqualTo(type);
      assertThat(tensor.shape()).isEqualTo(Shape.of(4));
      int size = tensor.byteSize() / 4;
      assertThat(tensor.data().slice(size, size))
          .isEqualTo(tensor.data().slice(3 * size, size))
          .isNotEqualTo(tensor.data().slice(0, size));
    }
  }

  @Test
  void content_isTakenAsItIs() {
    TensorProto proto =
        proto(DataType.INT16, Shape.of(2))
            .setTensorContent(ByteString.copyFrom(new byte[] {1, 2, 3, 4}))
            .build();
    try (Tensor tensor = TensorProtos.tensor(proto)) {
      assertThat(tensor.data().getShort(2)).isEqualTo((short) 0x0403);
    }
  }

  @Test
  void noValue_isZeroOrEmpty() {
    try (Tensor numbers = TensorProtos.tensor(proto(DataType.FP32, Shape.of(2)).build());
        Tensor texts = TensorProtos.tensor(proto(DataType.BYTES, Shape.of(2)).build())) {
      assertThat(numbers.toFloats()).containsExactly(0, 0);
      assertThat(texts.toStrings()).containsExactly("", "");
    }
  }

  @Test
  void tensorsThatCannotBeMade_areRefused() {
    for (TensorProto proto :
        List.of(
            proto(DataType.FP32, Shape.of(-1)).build(),
            proto(DataType.FP32, Shape.of(1L << 40)).build(),
            proto(DataType.FP32, Shape.of(2))
                .setDtype(org.tensorflow.proto.DataType.DT_COMPLEX64)
                .build(),
            proto(DataType.FP32, Shape.of(2))
                .setTensorContent(ByteString.copyFrom(new byte[7]))
                .build())) {
      assertThatThrownBy(() -> TensorProtos.tensor(proto).close())
          .isInstanceOf(InferenceException.class);
    }
  }

  private static TensorProto.Builder proto(DataType type, Shape shape) {
    return TensorProto.newBuilder()
        .setDtypeValue(TensorFlowTypes.number(type))
        .setTensorShape(SavedModelWriter.shape(shape));
  }
}
