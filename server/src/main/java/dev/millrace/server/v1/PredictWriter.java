package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.json.JsonNumbers;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;

/**
 * Writes the answer to a {@code predict} request. Thread-safe.
 *
 * <p>Source of the format: TF Serving's RESTful API, "Predict API".
 */
public final class PredictWriter {
  private PredictWriter() {}

  /**
   * Appends the answer to {@code out}.
   *
   * @param response stays the caller's
   * @param batchKeys whether rows are preceded by what KServe's batcher adds: {@code message},
   *     which is empty, and {@code batchId}, here the request's id
   * @throws InferenceException INVALID_ARGUMENT if the outputs have no form such as the client
   *     asked for; {@code out} then holds a part
   */
  public static void write(
      InferenceResponse response, AnswerForm form, boolean batchKeys, ByteBuf out) {
    TensorMap outputs = response.outputs();
    if (outputs.isEmpty()) {
      throw InferenceException.invalidArgument("Cannot convert empty tensor map to JSON");
    }
    TensorCursor[] cursors = new TensorCursor[outputs.size()];
    for (int i = 0; i < cursors.length; i++) {
      cursors[i] = new TensorCursor(outputs.name(i), outputs.tensor(i));
    }
    JsonWriter json = JsonWriter.to(out);
    if (form == AnswerForm.TEXTS && TextRows.isResponse(outputs)) {
      cursors[0].writeText(json);
      json.finish();
      return;
    }
    json.beginObject();
    if (batchKeys && form != AnswerForm.COLUMNS) {
      json.name("message").string("").name("batchId").string(response.id());
    }
    switch (form) {
      case ROWS -> rows(json, outputs, cursors);
      case COLUMNS -> columns(json, cursors);
      case TEXTS -> {
        if (TextRows.isPredictions(outputs)) {
          texts(json, cursors[0]);
        } else {
          rows(json, outputs, cursors);
        }
      }
    }
    json.endObject().finish();
  }

  private static void rows(JsonWriter json, TensorMap outputs, TensorCursor[] cursors) {
    long rows = commonRows(outputs);
    json.name("predictions").beginArray();
    for (long row = 0; row < rows; row++) {
      if (cursors.length == 1) {
        cursors[0].write(json, 1);
      } else {
        json.beginObject();
        for (TensorCursor cursor : cursors) {
          cursor.write(json.name(cursor.name()), 1);
        }
        json.endObject();
      }
    }
    json.endArray();
  }

  private static long commonRows(TensorMap outputs) {
    long rows = -1;
    for (int i = 0; i < outputs.size(); i++) {
      Tensor output = outputs.tensor(i);
      if (output.shape().rank() == 0) {
        throw InferenceException.invalidArgument(
            "Tensor name: %s has no shape information ".formatted(outputs.name(i)));
      }
      long own = output.shape().dim(0);
      if (rows >= 0 && own != rows) {
        throw InferenceException.invalidArgument(
            "Tensor name: %s has inconsistent batch size: %d expecting: %d"
                .formatted(outputs.name(i), own, rows));
      }
      rows = own;
    }
    return rows;
  }

  private static void columns(JsonWriter json, TensorCursor[] cursors) {
    json.name("outputs");
    if (cursors.length == 1) {
      cursors[0].write(json, 0);
      return;
    }
    json.beginObject();
    for (TensorCursor cursor : cursors) {
      cursor.write(json.name(cursor.name()), 0);
    }
    json.endObject();
  }

  private static void texts(JsonWriter json, TensorCursor cursor) {
    json.name("predictions");
    if (cursor.isScalar()) {
      cursor.writeText(json);
      return;
    }
    json.beginArray();
    for (long row = 0; row < cursor.rows(); row++) {
      cursor.writeText(json);
    }
    json.endArray();
  }

  /** About how many bytes {@link #write} will append. */
  public static int estimate(InferenceResponse response) {
    long size = 64;
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      size += JsonNumbers.estimate(outputs.tensor(i));
      if (outputs.size() > 1 && outputs.tensor(i).shape().rank() > 0) {
        size += outputs.tensor(i).shape().dim(0) * (outputs.name(i).length() + 4);
      }
    }
    return (int) Math.min(1 << 28, size);
  }
}
