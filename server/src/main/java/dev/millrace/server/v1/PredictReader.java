package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.server.json.JsonSource;
import io.netty.buffer.ByteBuf;

/**
 * Reads the body of a {@code predict} request: rows under {@code instances}, or columns under
 * {@code inputs}. Numbers go from the text straight into the tensors' memory.
 *
 * <p>Source of the format: TF Serving's RESTful API, "Predict API".
 */
public final class PredictReader {
  private PredictReader() {}

  /**
   * Reads a request.
   *
   * @param id the client's name for this call; empty if it gave none
   * @param metadata what the model declares, which decides datatypes
   * @param body stays the caller's
   * @return the request, which the caller closes
   * @throws InferenceException INVALID_ARGUMENT
   */
  public static PredictRequest read(
      String id, ModelId model, ModelMetadata metadata, ByteBuf body) {
    return read(id, "", model, Signatures.of(metadata), body);
  }

  /**
   * As {@link #read(String, ModelId, ModelMetadata, ByteBuf)}, for a signature, and for another
   * verb than predict.
   *
   * @param prefix what stands before the name of rows that only the model knows
   */
  static PredictRequest read(
      String id, String prefix, ModelId model, Signature signature, ByteBuf body) {
    JsonSource source = JsonSource.of(body, body.readableBytes());
    try (PredictParser parser = new PredictParser(id, prefix, model, signature, source)) {
      return parser.parse();
    }
  }
}
