package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.spi.InferenceLogger.Side;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * One side of an inference as the body of a V1 request or response: {@code instances} and {@code
 * predictions}, row by row, or {@code inputs} and {@code outputs} if the tensors have no rows in
 * common. A single BYTES tensor called {@code instances} or {@code predictions} has a JSON text for
 * each row. If rows are cut, {@code cut_bytes} says so.
 */
final class V1Payload {
  private static final JsonFactory JSON = new JsonFactory();

  private V1Payload() {}

  static void write(JsonWriter json, CapturedRecord record) {
    json.beginObject();
    InferenceException error = record.error();
    if (error != null) {
      json.name("error").string(error.getMessage());
    } else {
      content(json, record, record.side() == Side.MODEL_INPUTS);
      if (record.cutBytes() > 0) {
        json.name("cut_bytes").number(record.cutBytes());
      }
    }
    json.endObject();
  }

  private static void content(JsonWriter json, CapturedRecord record, boolean request) {
    long rows = commonRows(record);
    if (rows >= 0) {
      json.name(request ? "instances" : "predictions").beginArray();
      rows(json, record, rows, request ? "instances" : "predictions");
      json.endArray();
    } else {
      json.name(request ? "inputs" : "outputs");
      columns(json, record);
    }
  }

  /** Whole rows that all tensors have kept; -1 if they have no number of rows in common. */
  private static long commonRows(CapturedRecord record) {
    long rows = Long.MAX_VALUE;
    for (int i = 0; i < record.size(); i++) {
      Shape shape = record.shape(i);
      if (shape.rank() == 0 || shape.dim(0) != record.shape(0).dim(0)) {
        return -1;
      }
      long perRow = shape.dim(0) == 0 ? 1 : shape.elementCount() / shape.dim(0);
      rows = Math.min(rows, perRow == 0 ? shape.dim(0) : record.keptElements(i) / perRow);
    }
    return record.size() == 0 ? -1 : Math.min(rows, record.shape(0).dim(0));
  }

  private static void rows(JsonWriter json, CapturedRecord record, long rows, String name) {
    int count = record.size();
    if (count == 1
        && record.dataType(0) == DataType.BYTES
        && record.shape(0).rank() == 1
        && record.name(0).equals(name)) {
      texts(json, record.data(0), rows);
      return;
    }
    List<ByteBuffer> data = new ArrayList<>();
    boolean[] text = new boolean[count];
    for (int i = 0; i < count; i++) {
      data.add(record.data(i));
      text[i] = TensorJson.isText(record.dataType(i), record.data(i));
    }
    for (long row = 0; row < rows; row++) {
      if (count == 1) {
        TensorJson.nested(json, record.dataType(0), data.get(0), record.shape(0), 1, text[0]);
        continue;
      }
      json.beginObject();
      for (int i = 0; i < count; i++) {
        json.name(record.name(i));
        TensorJson.nested(json, record.dataType(i), data.get(i), record.shape(i), 1, text[i]);
      }
      json.endObject();
    }
  }

  /** Rows that are JSON texts, as they are; as a text of JSON if one is not. */
  private static void texts(JsonWriter json, ByteBuffer data, long rows) {
    for (long row = 0; row < rows; row++) {
      byte[] element = TensorJson.element(data);
      if (isJson(element)) {
        json.raw(element);
      } else {
        json.string(new String(element, UTF_8));
      }
    }
  }

  private static boolean isJson(byte[] text) {
    try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), text)) {
      if (parser.nextToken() == null) {
        return false;
      }
      parser.skipChildren();
      return parser.nextToken() == null;
    } catch (JacksonException e) {
      return false;
    }
  }

  private static void columns(JsonWriter json, CapturedRecord record) {
    json.beginObject();
    for (int i = 0; i < record.size(); i++) {
      json.name(record.name(i));
      Shape shape = record.shape(i);
      ByteBuffer data = record.data(i);
      boolean text = TensorJson.isText(record.dataType(i), data);
      if (record.keptElements(i) < shape.elementCount()) {
        json.beginArray();
        TensorJson.flat(json, record.dataType(i), data, text);
        json.endArray();
      } else {
        TensorJson.nested(json, record.dataType(i), data, shape, 0, text);
      }
    }
    json.endObject();
  }
}
