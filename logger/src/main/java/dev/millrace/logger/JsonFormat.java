package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.logger.LogMessage.Header;
import java.util.List;

/** The format of our own: one object on one line, as {@code docs/logging.md} has it. */
final class JsonFormat {
  private static final Header TYPE = Header.of("content-type", "application/json");

  private JsonFormat() {}

  static byte[] encode(
      JsonWriter json, InstantText times, CapturedRecord record, List<Header> headers) {
    boolean isRequest = record.side() == Side.MODEL_INPUTS;
    json.begin().beginObject();
    json.name("time").string(times.of(record.time()));
    json.name("id").string(record.id());
    json.name("model").known(record.model().name());
    json.name("version").known(record.model().version());
    json.name("side").known(isRequest ? "request" : "response");
    if (!isRequest) {
      json.name("code").number((long) record.statusCode());
    }
    InferenceException error = record.error();
    if (error != null) {
      json.name("error").string(error.getMessage());
    }
    String trace = record.header(CapturedRecord.TRACEPARENT);
    if (trace != null) {
      json.name("traceparent").string(trace);
    }
    if (record.cutBytes() > 0) {
      json.name("cut_bytes").number(record.cutBytes());
    }
    if (error == null) {
      json.name(isRequest ? "inputs" : "outputs").beginArray();
      V2Payload.tensors(json, record, false);
      json.endArray();
    }
    json.endObject();
    headers.add(TYPE);
    return json.toBytes();
  }
}
