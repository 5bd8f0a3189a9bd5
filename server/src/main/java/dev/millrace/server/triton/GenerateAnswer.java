package dev.millrace.server.triton;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.http.Answer;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.json.JsonNumbers;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.util.AsciiString;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * Sends an inference's outputs as a flat object: an output of one element is a value, of several a
 * list. As a stream, that is one event for each response.
 */
final class GenerateAnswer extends Answer<InferenceResponse> {
  static final AsciiString EVENTS = AsciiString.cached("text/event-stream; charset=utf-8");
  private static final byte[] EVENT = "data: ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] END_OF_EVENT = "\n\n".getBytes(StandardCharsets.US_ASCII);

  private final boolean stream;
  private final boolean named;
  private final boolean texts;

  /**
   * An answer.
   *
   * @param stream whether it is an event
   * @param named whether the request has a name that goes back
   * @param texts whether the model gives JSON texts, as one that declares no inputs
   */
  GenerateAnswer(boolean stream, boolean named, boolean texts) {
    this.stream = stream;
    this.named = named;
    this.texts = texts;
  }

  /** An event of a stream, which the caller releases; the response stays the caller's. */
  ByteBuf event(HttpExchange exchange, InferenceResponse response) {
    ByteBuf event = exchange.newBody((int) Math.min(1 << 28, estimate(response)));
    try {
      event.writeBytes(EVENT);
      write(response, event);
      return event.writeBytes(END_OF_EVENT);
    } catch (RuntimeException e) {
      event.release();
      throw e;
    }
  }

  @Override
  protected void write(HttpExchange exchange, InferenceResponse response) {
    if (exchange.isLarge(estimate(response))) {
      exchange.onWorker(() -> send(exchange, response), response::close);
    } else {
      send(exchange, response);
    }
  }

  private void send(HttpExchange exchange, InferenceResponse response) {
    if (stream) {
      try (response) {
        exchange.respond(200, EVENTS, event(exchange, response));
      }
      return;
    }
    ByteBuf body = exchange.newBody((int) Math.min(1 << 28, estimate(response)));
    try (response) {
      write(response, body);
    } catch (RuntimeException e) {
      body.release();
      throw e;
    }
    exchange.compressible().respond(200, HttpExchange.JSON, body);
  }

  private void write(InferenceResponse response, ByteBuf body) {
    JsonWriter json = JsonWriter.to(body).beginObject();
    json.name("model_name").string(response.model().name());
    json.name("model_version").string(response.model().version());
    if (named) {
      json.name("id").string(response.id());
    }
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      write(json.name(outputs.name(i)), outputs.name(i), outputs.tensor(i));
    }
    json.endObject().finish();
  }

  private void write(JsonWriter json, String output, Tensor tensor) {
    boolean list = tensor.elementCount() != 1;
    if (list) {
      json.beginArray();
    }
    ByteBuffer data = tensor.data();
    switch (tensor.dataType()) {
      case BYTES -> {
        if (texts && (output.equals("predictions") || output.equals("response"))) {
          jsonTexts(json, output, data);
        } else {
          texts(json, output, data);
        }
      }
      case FP16, BF16 ->
          throw InferenceException.invalidArgument(
              "sending %s data via JSON is not supported, as for output '%s'"
                  .formatted(tensor.dataType(), output));
      case BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64 ->
          JsonNumbers.write(json, tensor.dataType(), data, 0, data.limit());
    }
    if (list) {
      json.endArray();
    }
  }

  private static void texts(JsonWriter json, String output, ByteBuffer data) {
    int at = 0;
    while (at < data.limit()) {
      int length = data.getInt(at);
      if (!json.utf8(data, at + 4, length)) {
        throw InferenceException.invalidArgument(
            "output '%s' holds bytes that are not UTF-8".formatted(output));
      }
      at += 4 + length;
    }
  }

  /** Values that are JSON already. */
  private static void jsonTexts(JsonWriter json, String output, ByteBuffer data) {
    int at = 0;
    while (at < data.limit()) {
      int length = data.getInt(at);
      if (!JsonWriter.isUtf8(data, at + 4, length)) {
        throw InferenceException.invalidArgument(
            "output '%s' holds bytes that are not UTF-8".formatted(output));
      }
      json.raw(data, at + 4, length);
      at += 4 + length;
    }
  }

  private static long estimate(InferenceResponse response) {
    long size = 128;
    TensorMap outputs = response.outputs();
    for (int i = 0; i < outputs.size(); i++) {
      size += 32 + outputs.name(i).length();
      size +=
          outputs.tensor(i).dataType() == DataType.BYTES
              ? outputs.tensor(i).byteSize()
              : JsonNumbers.estimate(outputs.tensor(i));
    }
    return size;
  }

  @Override
  protected void discard(InferenceResponse response) {
    response.close();
  }
}
