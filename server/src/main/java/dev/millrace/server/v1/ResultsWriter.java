package dev.millrace.server.v1;

import dev.millrace.api.InferenceResponse;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;

/**
 * Writes the answers to {@code classify} and {@code regress} requests.
 *
 * <p>Source of the format: TF Serving's RESTful API, "Classify and Regress API"; what it calls
 * {@code result} there is {@code results} on the wire.
 */
final class ResultsWriter {
  private ResultsWriter() {}

  /** Appends the classes of each example; the response stays the caller's. */
  static void classifications(InferenceResponse response, ByteBuf out) {
    Classifications results = new Classifications(response.outputs());
    JsonWriter json = JsonWriter.to(out).beginObject().name("results").beginArray();
    for (int example = 0; example < results.examples(); example++) {
      json.beginArray();
      for (int i = 0; i < results.classes(); i++) {
        json.beginArray().string(results.label(example, i)).number(results.score(example, i));
        json.endArray();
      }
      json.endArray();
    }
    json.endArray().endObject().finish();
  }

  /** Appends the number of each example; the response stays the caller's. */
  static void regressions(InferenceResponse response, ByteBuf out) {
    Regressions results = new Regressions(response.outputs());
    JsonWriter json = JsonWriter.to(out).beginObject().name("results").beginArray();
    for (int example = 0; example < results.examples(); example++) {
      json.number(results.value(example));
    }
    json.endArray().endObject().finish();
  }
}
