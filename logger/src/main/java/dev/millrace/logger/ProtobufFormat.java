package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.logger.LogMessage.Header;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * The messages {@code inference.ModelInferRequest} and {@code inference.ModelInferResponse} of the
 * Open Inference Protocol's {@code grpc_service.proto}, with the tensors as raw contents. A failed
 * inference is a response without outputs; its code is in the header {@code millrace-code}, and its
 * message in {@code millrace-error}.
 */
final class ProtobufFormat {
  // Numbers of fields.
  private static final int MODEL_NAME = 1;
  private static final int MODEL_VERSION = 2;
  private static final int ID = 3;
  private static final int TENSORS = 5; // both in the request and in the response
  private static final int REQUEST_RAW = 7;
  private static final int RESPONSE_RAW = 6;
  private static final int TENSOR_NAME = 1;
  private static final int TENSOR_DATATYPE = 2;
  private static final int TENSOR_SHAPE = 3;

  private static final int LENGTH_DELIMITED = 2;

  private ProtobufFormat() {}

  static byte[] encode(CapturedRecord record, List<Header> headers) {
    boolean isRequest = record.side() == Side.MODEL_INPUTS;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    text(out, MODEL_NAME, record.model().name());
    text(out, MODEL_VERSION, record.model().version());
    text(out, ID, record.id());
    for (int i = 0; i < record.size(); i++) {
      block(out, TENSORS, tensor(record, i));
    }
    for (int i = 0; i < record.size(); i++) {
      ByteBuffer data = record.data(i);
      byte[] bytes = new byte[data.remaining()];
      data.get(bytes);
      block(out, isRequest ? REQUEST_RAW : RESPONSE_RAW, bytes);
    }
    String message = isRequest ? "inference.ModelInferRequest" : "inference.ModelInferResponse";
    headers.add(Header.of("content-type", "application/x-protobuf; messageType=" + message));
    if (!isRequest) {
      headers.add(Header.of("millrace-code", Integer.toString(record.statusCode())));
    }
    InferenceException error = record.error();
    if (error != null) {
      headers.add(Header.of("millrace-error", error.getMessage()));
    }
    return out.toByteArray();
  }

  private static byte[] tensor(CapturedRecord record, int index) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    text(out, TENSOR_NAME, record.name(index));
    text(out, TENSOR_DATATYPE, record.dataType(index).name());
    ByteArrayOutputStream dims = new ByteArrayOutputStream();
    Shape shape = record.shape(index);
    for (int axis = 0; axis < shape.rank(); axis++) {
      varint(dims, shape.dim(axis));
    }
    if (shape.rank() > 0) {
      block(out, TENSOR_SHAPE, dims.toByteArray());
    }
    return out.toByteArray();
  }

  private static void text(ByteArrayOutputStream out, int field, String value) {
    if (!value.isEmpty()) {
      block(out, field, value.getBytes(UTF_8));
    }
  }

  private static void block(ByteArrayOutputStream out, int field, byte[] value) {
    varint(out, ((long) field << 3) | LENGTH_DELIMITED);
    varint(out, value.length);
    out.writeBytes(value);
  }

  private static void varint(ByteArrayOutputStream out, long value) {
    long left = value;
    while ((left & ~0x7fL) != 0) {
      out.write((int) ((left & 0x7f) | 0x80));
      left >>>= 7;
    }
    out.write((int) left);
  }
}
