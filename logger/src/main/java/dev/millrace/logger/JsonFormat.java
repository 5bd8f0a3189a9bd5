package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.logger.LogMessage.Header;
import dev.millrace.logger.MessageEncoder.Body;
import java.util.List;

/** The format of our own: one object on one line, as {@code docs/logging.md} has it. */
final class JsonFormat {
  private JsonFormat() {}

  static Body encode(CapturedRecord record) {
    byte[] value =
        TensorJson.bytes(json -> {
          boolean isRequest = record.side() == Side.MODEL_INPUTS;
          json.writeStartObject();
          json.writeStringProperty("time", record.time().toString());
          json.writeStringProperty("id", record.id());
          json.writeStringProperty("model", record.model().name());
          json.writeStringProperty("version", record.model().version());
          json.writeStringProperty("side", isRequest ? "request" : "response");
          if (!isRequest) {
            json.writeNumberProperty("code", record.statusCode());
          }
          InferenceException error = record.error();
          if (error != null) {
            json.writeStringProperty("error", error.getMessage());
          }
          String trace = record.header("traceparent");
          if (trace != null) {
            json.writeStringProperty("traceparent", trace);
          }
          if (record.cutBytes() > 0) {
            json.writeNumberProperty("cut_bytes", record.cutBytes());
          }
          if (error == null) {
            json.writeArrayPropertyStart(isRequest ? "inputs" : "outputs");
            V2Payload.tensors(json, record, false);
            json.writeEndArray();
          }
          json.writeEndObject();
        });
    return new Body(value, List.of(Header.of("content-type", "application/json")));
  }
}
