package dev.millrace.server.v2;

import dev.millrace.api.InferenceResponse;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.server.http.Answer;
import dev.millrace.server.http.HttpExchange;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.util.AsciiString;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sends an inference's outputs: JSON, then those that are binary. */
final class InferAnswer extends Answer<InferenceResponse> {
  /**
   * Smallest binary output that is sent from its own memory; smaller ones are copied, as each
   * buffer of its own costs more than that.
   */
  private static final int SENT_IN_PLACE = 16 << 10;

  private final OutputEncoding encoding;
  private final OutputFinisher finisher;
  private final @Nullable String binaryType;

  /**
   * An answer.
   *
   * @param binaryType start of its media type if there are binary outputs, behind which the length
   *     of the JSON stands; null for bytes, with the length in a header
   */
  InferAnswer(OutputEncoding encoding, OutputFinisher finisher, @Nullable String binaryType) {
    this.binaryType = binaryType;
    this.encoding = encoding;
    this.finisher = finisher;
  }

  @Override
  protected void write(HttpExchange exchange, InferenceResponse response) {
    if (exchange.isLarge(V2ResponseWriter.estimate(response, encoding))) {
      exchange.onWorker(() -> send(exchange, response), response::close);
    } else {
      send(exchange, response);
    }
  }

  @Override
  protected void discard(InferenceResponse response) {
    response.close();
  }

  private void send(HttpExchange exchange, InferenceResponse received) {
    InferenceResponse response;
    try {
      response = finisher.finish(received);
    } catch (RuntimeException e) {
      received.close();
      throw e;
    }
    ByteBuf body = exchange.newBody(V2ResponseWriter.estimate(response, encoding));
    List<ByteBuf> inPlace;
    int jsonSize;
    try {
      V2ResponseWriter.write(response, encoding, finisher, body);
      jsonSize = body.readableBytes();
      inPlace = appendBinary(response.outputs(), body);
    } catch (RuntimeException e) {
      body.release();
      response.close();
      throw e;
    }
    boolean binary = body.readableBytes() > jsonSize || !inPlace.isEmpty();
    AsciiString type = HttpExchange.JSON;
    if (binary && binaryType == null) {
      exchange.header(V2Routes.HEADER_LENGTH, Integer.toString(jsonSize));
      type = HttpExchange.OCTET_STREAM;
    } else if (binary) {
      type = AsciiString.of(binaryType + jsonSize);
    }
    Runnable whenSent = null;
    if (inPlace.isEmpty()) {
      response.close();
    } else {
      whenSent = response::close;
    }
    exchange.compressible().respond(200, type, body, inPlace, whenSent);
  }

  /**
   * Copies the small binary outputs behind the JSON; returns what follows from the first large one.
   */
  private List<ByteBuf> appendBinary(TensorMap outputs, ByteBuf body) {
    List<ByteBuf> inPlace = List.of();
    for (int i = 0; i < outputs.size(); i++) {
      Tensor tensor = outputs.tensor(i);
      if (!encoding.isBinary(outputs.name(i))
          || tensor.byteSize() == 0
          || finisher.placeOf(outputs.name(i)) != null) {
        continue;
      }
      if (inPlace.isEmpty() && tensor.byteSize() < SENT_IN_PLACE) {
        body.writeBytes(tensor.data());
      } else {
        if (inPlace.isEmpty()) {
          inPlace = new ArrayList<>(4);
        }
        inPlace.add(Unpooled.wrappedBuffer(tensor.data()));
      }
    }
    return inPlace;
  }
}
