package dev.millrace.server.v2;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.http.NettyLeakExtension;
import dev.millrace.testing.TensorLeakExtension;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@ExtendWith({TensorLeakExtension.class, NettyLeakExtension.class})
class V2CodecTest {
  private static final ModelId MODEL = ModelId.latest("m");

  private final V2RequestReader reader =
      new V2RequestReader(id -> {
        throw InferenceException.notFound("no metadata");
      });

  private V2Request read(String json) {
    ByteBuf body = ByteBufAllocator.DEFAULT.directBuffer();
    try {
      body.writeCharSequence(json, UTF_8);
      return reader.read(MODEL, body, null);
    } finally {
      body.release();
    }
  }

  private static Tensor random(Random random, DataType type, int maxElements) {
    Shape shape =
        switch (random.nextInt(4)) {
          case 0 -> Shape.scalar();
          case 1 -> Shape.of(random.nextInt(maxElements));
          case 2 -> Shape.of(1 + random.nextInt(4), random.nextInt(1 + maxElements / 4));
          default -> Shape.of(1, 2, 0, 3);
        };
    int count = (int) shape.elementCount();
    if (type == DataType.BYTES) {
      List<byte[]> elements = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        StringBuilder text = new StringBuilder();
        for (int k = random.nextInt(12); k > 0; k--) {
          text.appendCodePoint(random.nextBoolean() ? random.nextInt(0xD800) : 0x1F600 + k);
        }
        elements.add(text.toString().getBytes(UTF_8));
      }
      return Tensor.copyOf(shape, elements);
    }
    byte[] bytes = new byte[count * type.byteSize()];
    random.nextBytes(bytes);
    if (type == DataType.BOOL) {
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] &= 1;
      }
    }
    return Tensor.copyOf(type, shape, ByteBuffer.wrap(bytes));
  }

  private static void assertSame(Tensor actual, Tensor expected) {
    assertThat(actual.dataType()).isEqualTo(expected.dataType());
    assertThat(actual.shape()).isEqualTo(expected.shape());
    switch (expected.dataType()) {
      // A NaN has many forms, of which the text keeps one.
      case FP32 -> assertThat(actual.toFloats()).isEqualTo(expected.toFloats());
      case FP64 -> assertThat(actual.toDoubles()).isEqualTo(expected.toDoubles());
      default -> assertThat(actual.data()).isEqualTo(expected.data());
    }
  }

  private static InferenceResponse response(TensorMap outputs) {
    return new InferenceResponse("id", new ModelId("m", "1"), outputs, Parameters.empty());
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FP16", "BF16"})
  void json_roundTrips(DataType type) {
    Random random = new Random(type.name().hashCode());
    for (int round = 0; round < 40; round++) {
      Tensor tensor = random(random, type, round == 39 ? 30_000 : 50);
      try (InferenceResponse response = response(TensorMap.of("x", tensor))) {
        ByteBuf body = ByteBufAllocator.DEFAULT.directBuffer();
        V2ResponseWriter.write(response, OutputEncoding.json(), body);
        String request = body.toString(UTF_8).replace("\"outputs\":", "\"inputs\":");
        body.release();
        try (var inference = read(request).inference()) {
          assertThat(inference.id()).isEqualTo("id");
          assertThat(inference.inputs().names()).containsExactly("x");
          assertSame(inference.inputs().tensor(0), tensor);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void binary_roundTrips(DataType type) {
    Random random = new Random(type.name().hashCode());
    for (int round = 0; round < 40; round++) {
      Tensor first = random(random, type, round > 35 ? 60_000 : 50);
      Tensor second = random(random, type, 50);
      try (InferenceResponse response = response(TensorMap.of("x", first, "y", second))) {
        ByteBuf body = ByteBufAllocator.DEFAULT.directBuffer();
        body.writeZero(random.nextInt(64));
        body.readerIndex(body.writerIndex());
        V2ResponseWriter.write(response, OutputEncoding.binary(), body);
        int json = body.readableBytes();
        // Members of the same length, so that the header's length stays right.
        int at = body.toString(UTF_8).indexOf("\"outputs\":");
        body.setCharSequence(body.readerIndex() + at, "\"inputs\" :", UTF_8);
        body.writeBytes(first.data()).writeBytes(second.data());
        V2Request request = reader.read(MODEL, body, Integer.toString(json));
        body.release();
        try (var inference = request.inference()) {
          assertThat(inference.inputs().tensor(0).data()).isEqualTo(first.data());
          assertThat(inference.inputs().tensor(1).data()).isEqualTo(second.data());
          assertThat(inference.inputs().tensor(1).shape()).isEqualTo(second.shape());
        }
      }
    }
  }

  @Test
  void binaryTensor_thatIsLarge_sharesTheBody() {
    ByteBuf body = ByteBufAllocator.DEFAULT.directBuffer();
    String json =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[8192],\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":32768}}]}";
    // So that the tensor is aligned.
    body.writeCharSequence(json + " ".repeat(64 - json.length() % 64), UTF_8);
    int header = body.readableBytes();
    body.writeZero(32768);
    V2Request request = reader.read(MODEL, body, Integer.toString(header));
    assertThat(body.refCnt()).isEqualTo(2);
    request.inference().close();
    assertThat(body.refCnt()).isEqualTo(1);
    body.release();
  }

  @Test
  void members_mayComeInAnyOrder() {
    String[] members = {
      "\"name\":\"x\"",
      "\"shape\":[2,2]",
      "\"datatype\":\"INT32\"",
      "\"data\":[[1,2],[3,4]]",
      "\"parameters\":null",
      "\"other\":{\"a\":[1,{}]}"
    };
    Random random = new Random(5);
    for (int round = 0; round < 50; round++) {
      java.util.Collections.shuffle(java.util.Arrays.asList(members), random);
      String json =
          "{\"more\":[{}],\"inputs\" : [ {" + String.join(" , ", members) + "} ] , \"id\":\"é\"}";
      try (var inference = read(json).inference()) {
        assertThat(inference.inputs().tensor(0).toInts()).containsExactly(1, 2, 3, 4);
        assertThat(inference.id()).isEqualTo("é");
      }
    }
  }

  @Test
  void data_beforeItsType_isFoundInLargeBodies() {
    StringBuilder data = new StringBuilder("[0");
    for (int i = 1; i < 40_000; i++) {
      data.append(",\n").append(i);
    }
    String json =
        "{\"inputs\":[{\"data\":%s],\"name\":\"é\",\"datatype\":\"INT32\",\"shape\":[40000]}]}"
            .formatted(data);
    try (var inference = read(json).inference()) {
      assertThat(inference.inputs().tensor(0).toInts()).endsWith(39_998, 39_999);
    }
  }

  @Test
  void data_mayBeNestedInAnyWay() {
    for (String data : List.of("[1,2,3,4]", "[[1,2],[3,4]]", "[[[1]],[2,[3,4]]]", "[[],1,2,3,4]")) {
      String json =
          "{\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"UINT8\",\"data\":%s}]}"
              .formatted(data);
      try (var inference = read(json).inference()) {
        assertThat(inference.inputs().tensor(0).data())
            .isEqualTo(ByteBuffer.wrap(new byte[] {1, 2, 3, 4}));
      }
    }
  }

  @Test
  void floats_takeEveryFormOfNumber() {
    String json =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[8],\"datatype\":\"FP32\",\"data\":[1,-2.5,1e3,NaN,Infinity,-Infinity,null,16777217]}]}";
    try (var inference = read(json).inference()) {
      assertThat(inference.inputs().tensor(0).toFloats())
          .containsExactly(
              1f,
              -2.5f,
              1000f,
              Float.NaN,
              Float.POSITIVE_INFINITY,
              Float.NEGATIVE_INFINITY,
              Float.NaN,
              16777216f);
    }
  }

  @Test
  void largeIntegers_areExact() {
    String json =
        "{\"inputs\":[{\"name\":\"u\",\"shape\":[2],\"datatype\":\"UINT64\",\"data\":[18446744073709551615,9007199254740993]},"
            + "{\"name\":\"i\",\"shape\":[2],\"datatype\":\"INT64\",\"data\":[-9223372036854775808,9223372036854775807]}]}";
    try (var inference = read(json).inference()) {
      assertThat(inference.inputs().tensor(0).toLongs()).containsExactly(-1, 9007199254740993L);
      assertThat(inference.inputs().tensor(1).toLongs())
          .containsExactly(Long.MIN_VALUE, Long.MAX_VALUE);
    }
  }

  @Test
  void texts_areUnescaped() {
    String json =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[3],\"datatype\":\"BYTES\",\"data\":[\"\",\"a\\n\\u00e9\\ud83d\\ude00\",\"😀\"]}]}";
    try (var inference = read(json).inference()) {
      assertThat(inference.inputs().tensor(0).toStrings()).containsExactly("", "a\né😀", "😀");
    }
  }

  @Test
  void parameters_keepTheirTypes() {
    V2Request request =
        read(
            "{\"id\":null,\"outputs\":null,\"parameters\":{\"s\":\"t\",\"b\":true,\"i\":-3,\"u\":18446744073709551615,\"d\":1.5,\"n\":null,\"binary_data_output\":true},\"inputs\":[]}");
    assertThat(request.inference().parameters().asMap())
        .isEqualTo(Map.of("s", "t", "b", true, "i", -3L, "u", -1L, "d", 1.5));
    assertThat(request.inference().id()).isEmpty();
    assertThat(request.outputs().isBinary("any")).isTrue();
    request.inference().close();
  }

  @Test
  void listedOutput_isJsonUnlessItSaysBinary() {
    V2Request request =
        read(
            "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[],\"outputs\":[{\"name\":\"a\"},{\"name\":\"b\",\"parameters\":{\"binary_data\":true}},{\"name\":\"c\",\"parameters\":{\"binary_data\":false}}]}");
    assertThat(request.inference().requestedOutputs()).containsExactly("a", "b", "c");
    assertThat(request.outputs().isBinary("a")).isFalse();
    assertThat(request.outputs().isBinary("b")).isTrue();
    assertThat(request.outputs().isBinary("c")).isFalse();
    request.inference().close();
  }

  @Test
  void response_isCompact() {
    TensorMap outputs =
        TensorMap.of(
            "a", Tensor.copyOf(Shape.of(1, 2), 3, 4), "b", Tensor.copyOf(Shape.of(1), "x\"y"));
    try (InferenceResponse response =
        new InferenceResponse(
            "7", new ModelId("m", "2"), outputs, Parameters.copyOf(Map.of("p", 1.5)))) {
      ByteBuf body = ByteBufAllocator.DEFAULT.directBuffer();
      V2ResponseWriter.write(response, new OutputEncoding(false, List.of("b")), body);
      assertThat(body.toString(UTF_8))
          .isEqualTo(
              "{\"id\":\"7\",\"model_name\":\"m\",\"model_version\":\"2\",\"parameters\":{\"p\":1.5},"
                  + "\"outputs\":[{\"name\":\"a\",\"datatype\":\"INT32\",\"shape\":[1,2],\"data\":[3,4]},"
                  + "{\"name\":\"b\",\"datatype\":\"BYTES\",\"shape\":[1],\"parameters\":{\"binary_data_size\":7}}]}");
      body.release();
    }
  }
}
