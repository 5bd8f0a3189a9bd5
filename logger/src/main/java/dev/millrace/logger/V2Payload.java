package dev.millrace.logger;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.spi.InferenceLogger.Side;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;

/**
 * One side of an inference as the body of a V2 request or response. Tensors of which something is
 * cut have the parameter {@code cut_elements}, and the whole {@code cut_bytes}; BYTES that are no
 * UTF-8 have {@code content_type} {@code base64}.
 */
final class V2Payload {
  private V2Payload() {}

  /** All in JSON. */
  static void write(JsonWriter json, CapturedRecord record) {
    body(json, record, false);
  }

  /**
   * JSON, and behind it the tensors' bytes, as the protocol's binary extension has it.
   *
   * @param bytes all of it
   * @param jsonLength how much of it is JSON
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on at once
  record Binary(byte[] bytes, int jsonLength) {}

  /** With the tensors as bytes behind the JSON. */
  static Binary binary(CapturedRecord record) {
    JsonWriter json = new JsonWriter();
    body(json, record, true);
    int size = json.length();
    for (int i = 0; i < record.size(); i++) {
      size += record.data(i).remaining();
    }
    byte[] all = Arrays.copyOf(json.array(), size);
    int end = json.length();
    for (int i = 0; i < record.size(); i++) {
      ByteBuffer data = record.data(i);
      int count = data.remaining();
      data.get(all, end, count);
      end += count;
    }
    return new Binary(all, json.length());
  }

  private static void body(JsonWriter json, CapturedRecord record, boolean binary) {
    json.beginObject();
    InferenceException error = record.error();
    if (error != null) {
      json.name("error").string(error.getMessage());
    } else {
      json.name("id").string(record.id());
      json.name("model_name").known(record.model().name());
      json.name("model_version").known(record.model().version());
      parameters(json, record);
      json.name(record.side() == Side.MODEL_INPUTS ? "inputs" : "outputs").beginArray();
      tensors(json, record, binary);
      json.endArray();
    }
    json.endObject();
  }

  /** The parameters of a request that are no headers, and what is cut. */
  private static void parameters(JsonWriter json, CapturedRecord record) {
    boolean any = false;
    if (record.side() == Side.MODEL_INPUTS) {
      for (Map.Entry<String, Object> parameter : record.parameters().asMap().entrySet()) {
        if (!parameter.getKey().startsWith(CapturedRecord.HEADER)) {
          if (!any) {
            json.name("parameters").beginObject();
            any = true;
          }
          json.name(parameter.getKey());
          switch (parameter.getValue()) {
            case Boolean flag -> json.bool(flag);
            case Long number -> json.number(number);
            case Double number -> json.number(number);
            default -> json.string(parameter.getValue().toString());
          }
        }
      }
    }
    if (record.cutBytes() > 0) {
      if (!any) {
        json.name("parameters").beginObject();
        any = true;
      }
      json.name("cut_bytes").number(record.cutBytes());
    }
    if (any) {
      json.endObject();
    }
  }

  /** The tensors, as the elements of an array that is open. */
  static void tensors(JsonWriter json, CapturedRecord record, boolean binary) {
    for (int i = 0; i < record.size(); i++) {
      DataType dataType = record.dataType(i);
      Shape shape = record.shape(i);
      json.beginObject();
      json.name("name").known(record.name(i));
      json.name("datatype").known(dataType.name());
      json.name("shape").beginArray();
      for (int axis = 0; axis < shape.rank(); axis++) {
        json.number(shape.dim(axis));
      }
      json.endArray();
      long cut = shape.elementCount() - record.keptElements(i);
      boolean text = binary || TensorJson.isText(dataType, record.data(i));
      if (binary || !text || cut > 0) {
        json.name("parameters").beginObject();
        if (binary) {
          json.name("binary_data_size").number((long) record.data(i).remaining());
        }
        if (!text) {
          json.name("content_type").string("base64");
        }
        if (cut > 0) {
          json.name("cut_elements").number(cut);
        }
        json.endObject();
      }
      if (!binary) {
        json.name("data").beginArray();
        TensorJson.flat(json, dataType, record.data(i), text);
        json.endArray();
      }
      json.endObject();
    }
  }
}
