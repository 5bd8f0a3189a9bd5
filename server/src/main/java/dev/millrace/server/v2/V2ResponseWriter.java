package dev.millrace.server.v2;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.json.JsonNumbers;
import dev.millrace.server.json.JsonWriter;
import dev.millrace.server.memory.MemoryRange;
import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;

/**
 * Writes the JSON of an {@code infer} response. The bytes of binary outputs follow it, in the
 * outputs' order; they are the caller's to append. Thread-safe.
 */
public final class V2ResponseWriter {
  private V2ResponseWriter() {}

  /**
   * Appends the JSON to {@code out}.
   *
   * @param response stays the caller's
   * @throws InferenceException INVALID_ARGUMENT if an output cannot be JSON and shall be; {@code
   *     out} then holds a part
   */
  public static void write(InferenceResponse response, OutputEncoding encoding, ByteBuf out) {
    write(response, encoding, OutputFinisher.none(), out);
  }

  /** The same; of outputs that {@code finisher} has put into shared memory it tells where. */
  static void write(
      InferenceResponse response, OutputEncoding encoding, OutputFinisher finisher, ByteBuf out) {
    JsonWriter json = JsonWriter.to(out).beginObject();
    json.name("id").string(response.id());
    json.name("model_name").string(response.model().name());
    json.name("model_version").string(response.model().version());
    if (!response.parameters().isEmpty()) {
      json.name("parameters");
      parameters(json, response.parameters());
    }
    json.name("outputs").beginArray();
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      String name = outputs.name(i);
      MemoryRange place = finisher.placeOf(name);
      if (place == null) {
        output(json, name, outputs.tensor(i), encoding.isBinary(name));
      } else {
        shared(json, name, outputs.tensor(i), place);
      }
    }
    json.endArray().endObject().finish();
  }

  private static void parameters(JsonWriter json, Parameters parameters) {
    json.beginObject();
    parameters
        .asMap()
        .forEach((key, value) -> {
          json.name(key);
          switch (value) {
            case Boolean flag -> json.bool(flag);
            case Long number -> json.number(number);
            case Double number -> json.number(number);
            default -> json.string(value.toString());
          }
        });
    json.endObject();
  }

  private static void shared(JsonWriter json, String name, Tensor tensor, MemoryRange place) {
    begin(json, name, tensor);
    json.name("parameters").beginObject();
    json.name("shared_memory_region").string(place.region());
    json.name("shared_memory_offset").number(place.offset());
    json.name("shared_memory_byte_size").number(place.byteSize()).endObject().endObject();
  }

  private static void begin(JsonWriter json, String name, Tensor tensor) {
    json.beginObject();
    json.name("name").string(name);
    json.name("datatype").string(tensor.dataType().name());
    shape(json.name("shape"), tensor.shape());
  }

  private static void output(JsonWriter json, String name, Tensor tensor, boolean binary) {
    begin(json, name, tensor);
    if (binary) {
      json.name("parameters").beginObject();
      json.name("binary_data_size").number(tensor.byteSize()).endObject();
    } else {
      json.name("data").beginArray();
      data(json, name, tensor);
      json.endArray();
    }
    json.endObject();
  }

  /** The dimensions as an array. */
  static void shape(JsonWriter json, Shape shape) {
    json.beginArray();
    for (int i = 0; i < shape.rank(); i++) {
      json.number(shape.dim(i));
    }
    json.endArray();
  }

  private static void data(JsonWriter json, String name, Tensor tensor) {
    ByteBuffer data = tensor.data();
    switch (tensor.dataType()) {
      case BYTES -> texts(json, name, data);
      case FP16, BF16 -> throw notJson(name, tensor.dataType());
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64 ->
          JsonNumbers.write(json, tensor.dataType(), data, 0, data.limit());
    }
  }

  private static void texts(JsonWriter json, String name, ByteBuffer data) {
    int at = 0;
    while (at < data.limit()) {
      int length = data.getInt(at);
      if (!json.utf8(data, at + 4, length)) {
        throw InferenceException.invalidArgument(
            "output '%s' holds bytes that are not UTF-8. Please use the binary data format for output '%s'"
                .formatted(name, name));
      }
      at += 4 + length;
    }
  }

  private static InferenceException notJson(String name, DataType dataType) {
    return InferenceException.invalidArgument(
        "sending %s data via JSON is not supported. Please use the binary data format for output '%s'"
            .formatted(dataType, name));
  }

  /** About how many bytes {@link #write} will append. */
  public static int estimate(InferenceResponse response, OutputEncoding encoding) {
    long size = 128;
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      size += 96;
      if (!encoding.isBinary(outputs.name(i))) {
        size += JsonNumbers.estimate(outputs.tensor(i));
      }
    }
    return (int) Math.min(1 << 28, size);
  }
}
