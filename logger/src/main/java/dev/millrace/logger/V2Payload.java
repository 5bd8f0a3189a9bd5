package dev.millrace.logger;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.spi.InferenceLogger.Side;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/**
 * One side of an inference as the body of a V2 request or response. Tensors of which something is
 * cut have the parameter {@code cut_elements}, and the whole {@code cut_bytes}; BYTES that are no
 * UTF-8 have {@code content_type} {@code base64}.
 */
final class V2Payload {
  private static final String HEADER = "header.";

  private V2Payload() {}

  /** All in JSON. */
  static byte[] json(CapturedRecord record) {
    return TensorJson.bytes(json -> body(json, record, false));
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
    byte[] json = TensorJson.bytes(out -> body(out, record, true));
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.writeBytes(json);
    for (int i = 0; i < record.size(); i++) {
      ByteBuffer data = record.data(i);
      byte[] bytes = new byte[data.remaining()];
      data.get(bytes);
      all.writeBytes(bytes);
    }
    return new Binary(all.toByteArray(), json.length);
  }

  private static void body(JsonGenerator json, CapturedRecord record, boolean binary) {
    json.writeStartObject();
    InferenceException error = record.error();
    if (error != null) {
      json.writeStringProperty("error", error.getMessage());
    } else {
      json.writeStringProperty("id", record.id());
      json.writeStringProperty("model_name", record.model().name());
      json.writeStringProperty("model_version", record.model().version());
      parameters(json, record);
      json.writeArrayPropertyStart(record.side() == Side.MODEL_INPUTS ? "inputs" : "outputs");
      tensors(json, record, binary);
      json.writeEndArray();
    }
    json.writeEndObject();
  }

  /** The parameters of a request that are no headers, and what is cut. */
  private static void parameters(JsonGenerator json, CapturedRecord record) {
    boolean isRequest = record.side() == Side.MODEL_INPUTS;
    boolean any =
        isRequest
            && record.parameters().asMap().keySet().stream()
                .anyMatch(key -> !key.startsWith(HEADER));
    if (!any && record.cutBytes() == 0) {
      return;
    }
    json.writeObjectPropertyStart("parameters");
    if (any) {
      for (Map.Entry<String, Object> parameter : record.parameters().asMap().entrySet()) {
        if (!parameter.getKey().startsWith(HEADER)) {
          json.writeName(parameter.getKey());
          switch (parameter.getValue()) {
            case Boolean flag -> json.writeBoolean(flag);
            case Long number -> json.writeNumber(number);
            case Double number -> json.writeNumber(number);
            default -> json.writeString(parameter.getValue().toString());
          }
        }
      }
    }
    if (record.cutBytes() > 0) {
      json.writeNumberProperty("cut_bytes", record.cutBytes());
    }
    json.writeEndObject();
  }

  /** The tensors, as the elements of an array that is open. */
  static void tensors(JsonGenerator json, CapturedRecord record, boolean binary) {
    for (int i = 0; i < record.size(); i++) {
      DataType dataType = record.dataType(i);
      Shape shape = record.shape(i);
      json.writeStartObject();
      json.writeStringProperty("name", record.name(i));
      json.writeStringProperty("datatype", dataType.name());
      json.writeArrayPropertyStart("shape");
      for (int axis = 0; axis < shape.rank(); axis++) {
        json.writeNumber(shape.dim(axis));
      }
      json.writeEndArray();
      long cut = shape.elementCount() - record.keptElements(i);
      boolean base64 = !binary && dataType == DataType.BYTES && !TensorJson.isText(record.data(i));
      if (binary || base64 || cut > 0) {
        json.writeObjectPropertyStart("parameters");
        if (binary) {
          json.writeNumberProperty("binary_data_size", record.data(i).remaining());
        }
        if (base64) {
          json.writeStringProperty("content_type", "base64");
        }
        if (cut > 0) {
          json.writeNumberProperty("cut_elements", cut);
        }
        json.writeEndObject();
      }
      if (!binary) {
        json.writeArrayPropertyStart("data");
        TensorJson.flat(json, dataType, record.data(i));
        json.writeEndArray();
      }
      json.writeEndObject();
    }
  }
}
