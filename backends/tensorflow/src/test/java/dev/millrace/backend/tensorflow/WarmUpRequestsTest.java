package dev.millrace.backend.tensorflow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.testing.TensorLeakExtension;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.TensorProto;

@ExtendWith(TensorLeakExtension.class)
class WarmUpRequestsTest {
  @TempDir Path directory;

  /** RFC 3720 gives the checksum of 32 zeros. */
  @Test
  void checksum_isMasked() {
    int masked = TfRecords.checksum(new byte[32], 32);
    int crc = Integer.rotateLeft(masked - 0xa282ead8, 15);
    assertThat(HexFormat.of().toHexDigits(crc)).isEqualTo("8a9136aa");
  }

  @Test
  void predictRequest_isRunWhenTheModelIsLoaded() throws IOException {
    SavedModels.memory(DataType.FP32).write(directory);
    writeRecords(predict("put", "VALUE", SavedModelWriter.floats(Shape.of(2), 7, 8)));
    try (TensorModel model = TensorFlowFixture.load(directory, Map.of("signature", "get"));
        var predictor = model.newPredictor();
        TensorMap outputs = predictor.predict(TensorMap.empty(), List.of())) {
      assertThat(outputs.tensor(0).toFloats()).containsExactly(7, 8);
    }
  }

  @Test
  void requests_canBeSwitchedOff() throws IOException {
    SavedModels.memory(DataType.FP32).write(directory);
    writeRecords(predict("no-such", "VALUE", SavedModelWriter.floats(Shape.of(1), 1)));
    TensorFlowFixture.load(directory, Map.of("signature", "get", "warm-up-requests", false))
        .close();
  }

  @Test
  void examples_areRunWithTheirContext() throws IOException {
    HalfPlusTwo.write(directory);
    ByteString example = HalfPlusTwoTest.example(1);
    byte[] list = message(1, message(1, example));
    byte[] withContext = message(2, message(1, example), message(2, HalfPlusTwoTest.example(2)));
    PredictionLog log = PredictionLog.parse(classify("classify_x_to_y", withContext));
    assertThat(log.kind()).isEqualTo(PredictionLog.Kind.EXAMPLES);
    assertThat(log.examples()).containsExactly(HalfPlusTwoTest.example(2).concat(example));
    writeRecords(classify("classify_x_to_y", list), classify("regress_x_to_y", withContext));
    TensorFlowFixture.load(directory, Map.of()).close();
  }

  @Test
  void requestThatFails_failsTheModel() throws IOException {
    SavedModels.lookup().write(directory);
    TensorProto right =
        TensorProto.newBuilder()
            .setDtype(org.tensorflow.proto.DataType.DT_INT64)
            .setTensorShape(SavedModelWriter.shape(Shape.of(1)))
            .addInt64Val(2)
            .build();
    TensorProto wrong = right.toBuilder().setInt64Val(0, 5).build();
    writeRecords(predict("", "INDEX", right), predict("", "INDEX", wrong));
    assertNotLoaded("tf_serving_warmup_requests: request 2: indices[0] = 5 is not in [0, 3)");
    writeRecords(predict("other", "INDEX", right));
    assertNotLoaded("request 1: there is no signature 'other'; there are [serving_default]");
  }

  @Test
  void brokenFile_failsTheModel() throws IOException {
    SavedModels.lookup().write(directory);
    byte[] record = record(new byte[] {1, 2, 3});
    write(Arrays.copyOf(record, record.length - 1));
    assertNotLoaded("request 1: the record is cut off");
    write(Arrays.copyOf(record, 5));
    assertNotLoaded("request 1: the record is cut off");
    byte[] damaged = record.clone();
    damaged[13] ^= 1;
    write(damaged);
    assertNotLoaded("request 1: the checksum of the record does not fit");
    damaged = record.clone();
    damaged[1] ^= 1;
    write(damaged);
    assertNotLoaded("request 1: the checksum of the record's length does not fit");
  }

  private void assertNotLoaded(String words) {
    assertThatThrownBy(() -> TensorFlowFixture.load(directory, Map.of()))
        .isInstanceOfSatisfying(
            InferenceException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.FAILED_PRECONDITION))
        .hasMessageContaining(words);
  }

  private void writeRecords(byte[]... records) throws IOException {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    for (byte[] data : records) {
      file.writeBytes(record(data));
    }
    write(file.toByteArray());
  }

  private void write(byte[] bytes) throws IOException {
    Path file = directory.resolve(WarmUpRequests.FILE);
    Files.createDirectories(directory.resolve("assets.extra"));
    Files.write(file, bytes);
  }

  private static byte[] record(byte[] data) {
    ByteBuffer record =
        ByteBuffer.allocate(16 + data.length).order(ByteOrder.LITTLE_ENDIAN).putLong(data.length);
    return record
        .putInt(TfRecords.checksum(record.array(), Long.BYTES))
        .put(data)
        .putInt(TfRecords.checksum(data, data.length))
        .array();
  }

  private static byte[] predict(String signature, String input, TensorProto tensor)
      throws IOException {
    ByteString entry =
        ByteString.copyFrom(message(1, ByteString.copyFromUtf8(input)))
            .concat(ByteString.copyFrom(message(2, tensor.toByteString())));
    return message(6, message(1, modelSpec(signature), message(2, entry)));
  }

  private static byte[] classify(String signature, byte[] input) throws IOException {
    return message(2, message(1, modelSpec(signature), message(2, input)));
  }

  private static byte[] modelSpec(String signature) throws IOException {
    return message(1, message(3, ByteString.copyFromUtf8(signature)));
  }

  /** A field whose value is a message of these fields. */
  private static byte[] message(int field, byte[]... content) throws IOException {
    ByteString all = ByteString.EMPTY;
    for (byte[] part : content) {
      all = all.concat(ByteString.copyFrom(part));
    }
    return message(field, all);
  }

  private static byte[] message(int field, ByteString content) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    out.writeBytes(field, content);
    out.flush();
    return bytes.toByteArray();
  }
}
