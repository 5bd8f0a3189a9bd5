package dev.millrace.server.v2;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.memory.SharedMemory;
import io.netty.buffer.ByteBuf;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Reads the body of an {@code infer} request: JSON, JSON followed by binary tensors, or one raw
 * tensor. Thread-safe.
 *
 * <p>Numbers go from the text straight into the tensor's memory. A large binary tensor shares the
 * body's memory, which it retains.
 */
public final class V2RequestReader {
  private final Function<ModelId, ModelMetadata> metadata;
  private final SharedMemory memory;

  /** A reader of requests that bring all their inputs. */
  public V2RequestReader(Function<ModelId, ModelMetadata> metadata) {
    this(metadata, SharedMemory.off());
  }

  /**
   * A reader.
   *
   * @param metadata what a model declares, for raw requests; throws as the request shall fail
   * @param memory where inputs may be
   */
  public V2RequestReader(Function<ModelId, ModelMetadata> metadata, SharedMemory memory) {
    this.metadata = metadata;
    this.memory = memory;
  }

  /**
   * Reads a request.
   *
   * @param body stays the caller's; not to be written to as long as the request is open
   * @param headerLength value of {@code Inference-Header-Content-Length}; null if there is none
   * @return the request, which the caller closes
   * @throws InferenceException INVALID_ARGUMENT, or what {@code metadata} throws
   */
  public V2Request read(ModelId model, ByteBuf body, @Nullable String headerLength) {
    int size = body.readableBytes();
    int json = headerLength == null ? size : parse(headerLength, size);
    if (headerLength != null && json == 0) {
      return RawRequest.read(model, metadata.apply(model), body);
    }
    JsonSource source = JsonSource.of(body, json);
    BinaryInputs binary = new BinaryInputs(model.name(), body, json);
    try (RequestParser parser = new RequestParser(model, source, binary, memory)) {
      return parser.parse();
    }
  }

  private static int parse(String headerLength, int size) {
    try {
      int length = Integer.parseInt(headerLength.trim());
      if (length >= 0 && length <= size) {
        return length;
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw InferenceException.invalidArgument(
        "inference header size should be in range (0, %d), got: %s".formatted(size, headerLength));
  }
}
