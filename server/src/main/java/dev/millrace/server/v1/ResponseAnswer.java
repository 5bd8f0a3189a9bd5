package dev.millrace.server.v1;

import dev.millrace.api.InferenceResponse;
import dev.millrace.server.http.Answer;
import dev.millrace.server.http.HttpExchange;
import io.netty.buffer.ByteBuf;

/** Sends what a model answered, as JSON. */
final class ResponseAnswer extends Answer<InferenceResponse> {
  /** Appends the body; the response stays the caller's. */
  interface Writer {
    void write(InferenceResponse response, ByteBuf out);
  }

  private final Writer writer;

  ResponseAnswer(Writer writer) {
    this.writer = writer;
  }

  @Override
  protected void write(HttpExchange exchange, InferenceResponse response) {
    int size = PredictWriter.estimate(response);
    if (exchange.isLarge(size)) {
      exchange.onWorker(() -> send(exchange, response, size), response::close);
    } else {
      send(exchange, response, size);
    }
  }

  @Override
  protected void discard(InferenceResponse response) {
    response.close();
  }

  private void send(HttpExchange exchange, InferenceResponse response, int size) {
    ByteBuf body = exchange.newBody(size);
    try (response) {
      writer.write(response, body);
    } catch (RuntimeException e) {
      body.release();
      throw e;
    }
    exchange.compressible().respond(200, HttpExchange.JSON, body);
  }
}
