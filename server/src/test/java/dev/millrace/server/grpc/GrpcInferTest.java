package dev.millrace.server.grpc;

import static dev.millrace.server.grpc.GrpcFixture.floats;
import static dev.millrace.server.grpc.GrpcFixture.input;
import static dev.millrace.server.grpc.GrpcFixture.ints;
import static dev.millrace.server.grpc.GrpcFixture.pair;
import static dev.millrace.server.grpc.GrpcFixture.raw;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.millrace.api.DataType;
import dev.millrace.proto.inference.GRPCInferenceServiceGrpc;
import dev.millrace.proto.inference.InferParameter;
import dev.millrace.proto.inference.InferTensorContents;
import dev.millrace.proto.inference.ModelInferRequest;
import dev.millrace.proto.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.millrace.proto.inference.ModelInferResponse;
import dev.millrace.server.http.Await;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.TensorLeakExtension;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class GrpcInferTest {
  private static GrpcFixture fixture;

  @BeforeAll
  static void start(@TempDir Path root) throws IOException {
    fixture = GrpcFixture.start(root);
  }

  @AfterAll
  static void stop() {
    fixture.close();
  }

  private static ModelInferResponse infer(ModelInferRequest request) {
    return fixture.stub().modelInfer(request);
  }

  /** The same random elements in both forms. */
  private record Elements(ByteString raw, InferTensorContents typed) {
    static Elements random(DataType type, int count) {
      Random random = new Random(type.name().hashCode());
      ByteBuffer bytes = ByteBuffer.allocate(64 * count).order(ByteOrder.LITTLE_ENDIAN);
      InferTensorContents.Builder typed = InferTensorContents.newBuilder();
      for (int i = 0; i < count; i++) {
        long bits = random.nextLong();
        switch (type) {
          case BOOL -> {
            bytes.put((byte) (bits & 1));
            typed.addBoolContents((bits & 1) == 1);
          }
          case INT8 -> {
            bytes.put((byte) bits);
            typed.addIntContents((byte) bits);
          }
          case INT16 -> {
            bytes.putShort((short) bits);
            typed.addIntContents((short) bits);
          }
          case INT32 -> {
            bytes.putInt((int) bits);
            typed.addIntContents((int) bits);
          }
          case INT64 -> {
            bytes.putLong(bits);
            typed.addInt64Contents(bits);
          }
          case UINT8 -> {
            bytes.put((byte) bits);
            typed.addUintContents((int) bits & 0xFF);
          }
          case UINT16 -> {
            bytes.putShort((short) bits);
            typed.addUintContents((int) bits & 0xFFFF);
          }
          case UINT32 -> {
            bytes.putInt((int) bits);
            typed.addUintContents((int) bits);
          }
          case UINT64 -> {
            bytes.putLong(bits);
            typed.addUint64Contents(bits);
          }
          case FP16, BF16 -> bytes.putShort((short) bits);
          case FP32 -> {
            float value = i == 0 ? Float.NaN : i == 1 ? Float.NEGATIVE_INFINITY : (float) bits;
            bytes.putFloat(value);
            typed.addFp32Contents(value);
          }
          case FP64 -> {
            bytes.putDouble((double) bits);
            typed.addFp64Contents((double) bits);
          }
          case BYTES -> {
            byte[] element = new byte[i];
            random.nextBytes(element);
            bytes.putInt(i).put(element);
            typed.addBytesContents(ByteString.copyFrom(element));
          }
        }
      }
      return new Elements(ByteString.copyFrom(bytes.flip()), typed.build());
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void rawContents_areAnsweredRaw(DataType type) {
    Elements elements = Elements.random(type, 6);
    ModelInferResponse response =
        infer(
            ModelInferRequest.newBuilder()
                .setModelName(EchoBackend.name(type))
                .addInputs(input("IN", type.name(), 2, 3))
                .addRawInputContents(elements.raw())
                .build());
    assertThat(response.getRawOutputContentsList()).containsExactly(elements.raw());
    assertThat(response.getOutputs(0).hasContents()).isFalse();
    assertThat(response.getOutputs(0).getName()).isEqualTo("OUT");
    assertThat(response.getOutputs(0).getDatatype()).isEqualTo(type.name());
    assertThat(response.getOutputs(0).getShapeList()).containsExactly(2L, 3L);
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FP16", "BF16"})
  void typedContents_areAnsweredTypedAndRaw(DataType type) {
    Elements elements = Elements.random(type, 6);
    ModelInferResponse response =
        infer(
            ModelInferRequest.newBuilder()
                .setModelName(EchoBackend.name(type))
                .addInputs(input("IN", type.name(), 2, 3).toBuilder().setContents(elements.typed()))
                .build());
    assertThat(response.getRawOutputContentsList()).containsExactly(elements.raw());
    assertThat(response.getOutputs(0).getContents()).isEqualTo(elements.typed());
  }

  @Test
  void tensorWithoutElements_needsNoContents() {
    ModelInferResponse typed =
        infer(
            ModelInferRequest.newBuilder()
                .setModelName("echo_fp32")
                .addInputs(input("IN", "FP32", 0, 3))
                .build());
    assertThat(typed.getRawOutputContentsList()).containsExactly(ByteString.EMPTY);
    assertThat(typed.getOutputs(0).getShapeList()).containsExactly(0L, 3L);
    ModelInferResponse raw =
        infer(
            ModelInferRequest.newBuilder()
                .setModelName("echo_bytes")
                .addInputs(input("IN", "BYTES", 3, 0))
                .addRawInputContents(ByteString.EMPTY)
                .build());
    assertThat(raw.getRawOutputContentsList()).containsExactly(ByteString.EMPTY);
  }

  @Test
  void idModelAndRequestedOutputs_comeBack() {
    ModelInferResponse response =
        infer(
            pair()
                .setId("mine")
                .addOutputs(InferRequestedOutputTensor.newBuilder().setName("D"))
                .build());
    assertThat(response.getId()).isEqualTo("mine");
    assertThat(response.getModelName()).isEqualTo("pair");
    assertThat(response.getModelVersion()).isEqualTo("1");
    assertThat(response.getOutputsList()).hasSize(1);
    assertThat(response.getOutputs(0).getName()).isEqualTo("D");
    assertThat(response.getOutputs(0).getContents().getIntContentsList()).containsExactly(3, 4);
  }

  @Test
  void parametersOfEveryKind_areTaken() {
    ModelInferResponse response =
        infer(
            pair()
                .setModelVersion("1")
                .putParameters("priority", InferParameter.newBuilder().setUint64Param(1).build())
                .putParameters("timeout", InferParameter.newBuilder().setInt64Param(0).build())
                .putParameters("flag", InferParameter.newBuilder().setBoolParam(true).build())
                .putParameters("text", InferParameter.newBuilder().setStringParam("x").build())
                .putParameters("real", InferParameter.newBuilder().setDoubleParam(0.5).build())
                .putParameters(
                    "triton_enable_empty_final_response",
                    InferParameter.newBuilder().setBoolParam(true).build())
                .build());
    assertThat(response.getOutputsList()).hasSize(2);
  }

  @Test
  void messageBeyondFourMegabytes_isTaken_alsoCompressed() {
    byte[] bytes = new byte[24 << 20];
    new Random(1).nextBytes(bytes);
    ModelInferRequest request =
        ModelInferRequest.newBuilder()
            .setModelName("echo_uint8")
            .addInputs(input("IN", "UINT8", 1, bytes.length))
            .addRawInputContents(ByteString.copyFrom(bytes))
            .build();
    assertThat(infer(request).getRawOutputContents(0).toByteArray()).isEqualTo(bytes);
    for (String encoding : new String[] {"gzip", "deflate"}) {
      ModelInferResponse response = fixture.stub().withCompression(encoding).modelInfer(request);
      assertThat(response.getRawOutputContents(0).toByteArray()).isEqualTo(bytes);
    }
  }

  @Test
  void deadline_endsTheWait() {
    fixture.backend.hold();
    try {
      assertThatThrownBy(() ->
              GRPCInferenceServiceGrpc.newBlockingStub(fixture.channel)
                  .withDeadlineAfter(200, TimeUnit.MILLISECONDS)
                  .modelInfer(floats(1)))
          .isInstanceOfSatisfying(
              StatusRuntimeException.class,
              e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED));
    } finally {
      fixture.backend.release();
    }
    assertThat(infer(floats(2)).getRawOutputContents(0)).isEqualTo(raw(2));
  }

  @Test
  void cancelledCall_isTakenOutOfTheQueue() throws InterruptedException {
    fixture.backend.hold();
    var stub = GRPCInferenceServiceGrpc.newFutureStub(fixture.channel);
    var running = stub.modelInfer(floats(1));
    assertThat(fixture.backend.entered.tryAcquire(10, TimeUnit.SECONDS)).isTrue();
    // Enough to keep all instances busy; the ones that wait are cancelled.
    List<Future<?>> waiting = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      waiting.add(stub.modelInfer(floats(i)));
    }
    Await.until("all are in", () -> fixture.server.models().requestsInFlight() == 51);
    waiting.forEach(call -> call.cancel(true));
    Await.until("some are gone", () -> fixture.server.models().requestsInFlight() < 51);
    fixture.backend.release();
    assertThat(running).succeedsWithin(10, TimeUnit.SECONDS);
    Await.until("all are done", () -> fixture.server.models().requestsInFlight() == 0);
  }

  private static void assertRefused(
      ModelInferRequest.Builder request, Status.Code code, String text) {
    assertThatThrownBy(() -> infer(request.build()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> {
              assertThat(e.getStatus().getCode()).isEqualTo(code);
              assertThat(e.getStatus().getDescription()).contains(text);
            });
  }

  private static void assertInvalid(ModelInferRequest.Builder request, String text) {
    assertRefused(request, Status.Code.INVALID_ARGUMENT, text);
  }

  private static ModelInferRequest.Builder fp32(long... shape) {
    return ModelInferRequest.newBuilder()
        .setModelName("echo_fp32")
        .addInputs(input("IN", "FP32", shape));
  }

  @Test
  void rawAndTypedContents_areRefusedTogether() {
    assertInvalid(
        pair().addRawInputContents(raw(1, 2)).addRawInputContents(raw(1, 2)),
        "contents field must not be specified when using raw_input_contents for 'A' for model 'pair'");
  }

  @Test
  void rawContents_haveToBeOneForEachInput() {
    ModelInferRequest.Builder request =
        ModelInferRequest.newBuilder()
            .setModelName("pair")
            .addInputs(input("A", "INT32", 1, 2))
            .addInputs(input("B", "INT32", 1, 2))
            .addRawInputContents(raw(1, 2));
    assertInvalid(request, "unable to find data for input tensor 'B' for model 'pair' in request.");
    assertInvalid(
        request.addRawInputContents(raw(1, 2)).addRawInputContents(raw(1, 2)),
        "expected 2 raw_input_contents, one for each input, but got 3 for model 'pair'");
  }

  @Test
  void rawContents_haveToFitTheShape() {
    assertInvalid(
        fp32(1, 3).addRawInputContents(raw(1, 2)),
        "input byte size mismatch for input 'IN' for model 'echo_fp32'. Expected 12, got 8");
    assertInvalid(
        fp32(1, 1).addRawInputContents(raw(1, 2)),
        "input byte size mismatch for input 'IN' for model 'echo_fp32'. Expected 4, got 8");
    assertInvalid(
        bytes(1, 2).addRawInputContents(ByteString.copyFrom(new byte[] {1, 0, 0, 0, 'x'})),
        "expected 2 string elements for inference input 'IN' for model 'echo_bytes', got 1");
    assertInvalid(
        bytes(1, 1).addRawInputContents(ByteString.copyFrom(new byte[] {9, 0, 0, 0, 'x'})),
        "element byte size indicator exceeds the end of the buffer");
  }

  private static ModelInferRequest.Builder bytes(long... shape) {
    return ModelInferRequest.newBuilder()
        .setModelName("echo_bytes")
        .addInputs(input("IN", "BYTES", shape));
  }

  @Test
  void typedContents_haveToFitDatatypeAndShape() {
    assertInvalid(
        fp32(1, 2)
            .setInputs(
                0,
                input("IN", "FP32", 1, 2).toBuilder()
                    .setContents(InferTensorContents.newBuilder().addIntContents(1))),
        "unexpected explicit tensor data for input tensor 'IN' for model 'echo_fp32' of type 'INT32', expected datatype 'FP32'");
    assertInvalid(
        pair().setInputs(1, ints("B", 1, 2, 3).toBuilder().clearShape().addShape(1).addShape(2)),
        "input byte size mismatch for input 'B' for model 'pair'. Expected 8, got 12");
    assertInvalid(
        pair().setInputs(1, input("B", "INT32", 1, 2)),
        "unable to find data for input tensor 'B' for model 'pair' in request.");
    assertInvalid(
        ModelInferRequest.newBuilder()
            .setModelName("echo_int8")
            .addInputs(ints("IN", 128).toBuilder().setDatatype("INT8")),
        "value 128 of input 'IN' is out of the range of INT8");
    assertInvalid(
        ModelInferRequest.newBuilder()
            .setModelName("echo_fp16")
            .addInputs(
                input("IN", "FP16", 1, 1).toBuilder()
                    .setContents(InferTensorContents.newBuilder().addFp32Contents(1))),
        "of type 'FP32', expected datatype 'FP16' in raw_input_contents");
  }

  @Test
  void inputs_haveToBeTheModels() {
    assertInvalid(
        pair().removeInputs(1),
        "expected 2 inputs but got 1 inputs for model 'pair'. Got input(s) ['A'], but missing required input(s) ['B']. Please provide all required input(s).");
    assertInvalid(
        pair().addInputs(ints("X", 1, 2)), "unexpected inference input 'X' for model 'pair'");
    assertInvalid(pair().addInputs(ints("A", 1, 2)), "input 'A' already exists in request");
    assertInvalid(
        pair().setInputs(0, ints("A", 1, 2, 3)),
        "unexpected shape for input 'A' for model 'pair'.");
    assertInvalid(
        pair().addOutputs(InferRequestedOutputTensor.newBuilder().setName("X")),
        "unexpected inference output 'X' for model 'pair'");
    assertInvalid(
        pair()
            .addOutputs(InferRequestedOutputTensor.newBuilder().setName("C"))
            .addOutputs(InferRequestedOutputTensor.newBuilder().setName("C")),
        "output 'C' already exists in request");
  }

  @Test
  void nonsense_isRefused() {
    assertInvalid(fp32(1, -1), "shape [1,-1] of input 'IN' has a negative dimension");
    assertInvalid(fp32(1, -2), "negative dimension");
    assertInvalid(fp32(Long.MAX_VALUE, 8), "more elements than can be addressed");
    assertInvalid(
        fp32(1L << 61, 1).addRawInputContents(raw(1)), "more bytes than can be addressed");
    assertInvalid(fp32(new long[100_000]), "a shape has at most 64 dimensions");
    assertInvalid(
        ModelInferRequest.newBuilder()
            .setModelName("echo_fp32")
            .addInputs(input("IN", "FLOAT", 1, 1)),
        "unknown datatype 'FLOAT'");
    assertInvalid(pair().setId("x".repeat(5000)), "the id has 5000 characters");
    assertInvalid(
        pair().putParameters("triton_x", InferParameter.getDefaultInstance()),
        "parameter keys starting with 'triton_' are reserved");
    assertInvalid(
        pair().putParameters("x", InferParameter.getDefaultInstance()),
        "parameter 'x' has no value");
    assertInvalid(
        pair().putParameters("timeout", InferParameter.newBuilder().setStringParam("soon").build()),
        "invalid value type for 'timeout' parameter, expected int64_param.");
    ModelInferRequest.Builder many = ModelInferRequest.newBuilder().setModelName("pair");
    for (int i = 0; i < 1025; i++) {
      many.addInputs(ints("I" + i, 1, 2));
    }
    assertInvalid(many, "more than 1024 inputs in a request");
  }

  @Test
  void unknownModelAndVersion_areNotFound() {
    assertRefused(
        pair().setModelName("nobody"),
        Status.Code.NOT_FOUND,
        "Request for unknown model: 'nobody' is not found");
    assertRefused(
        pair().setModelVersion("9"),
        Status.Code.NOT_FOUND,
        "Request for unknown model: 'pair' version 9 is not found");
    assertRefused(pair().setModelVersion("new"), Status.Code.INVALID_ARGUMENT, "new");
  }

  @Test
  void whatThisServerLacks_isUnimplemented() {
    InferParameter region = InferParameter.newBuilder().setStringParam("r").build();
    InferParameter size = InferParameter.newBuilder().setInt64Param(8).build();
    assertRefused(
        pair()
            .setInputs(
                0,
                input("A", "INT32", 1, 2).toBuilder()
                    .putParameters("shared_memory_region", region)
                    .putParameters("shared_memory_byte_size", size)),
        Status.Code.UNIMPLEMENTED,
        "shared memory is not supported");
    assertRefused(
        pair()
            .addOutputs(
                InferRequestedOutputTensor.newBuilder()
                    .setName("C")
                    .putParameters("shared_memory_region", region)
                    .putParameters("shared_memory_byte_size", size)),
        Status.Code.UNIMPLEMENTED,
        "shared memory is not supported");
  }
}
