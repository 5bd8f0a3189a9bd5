package dev.millrace.logger;

import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LogListener.DropReason;
import dev.millrace.logger.LogMessage.Header;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.jspecify.annotations.Nullable;

/**
 * Hopsworks' {@code inferencelog} in Avro: version 4, a record for each side, and version 3, one
 * for both. The value is bare Avro, as its readers expect, or has the five bytes of a schema
 * registry before it: a zero and the schema's number. For one thread.
 *
 * <p>For version 3, the first side that comes is kept until the other does, or until more is kept
 * than there is room for: then the oldest is dropped.
 */
final class HopsworksFormat {
  /** The subject in Hopsworks' schema registry. */
  static final String SUBJECT = "inferenceschema";

  static final Schema V4 = schema("inferencelog-4.avsc");
  static final Schema V3 = schema("inferencelog-3.avsc");

  private static final Header TYPE = Header.of("content-type", "avro/binary");

  /** A side that waits for the other. */
  @SuppressWarnings("ArrayRecordComponent") // nobody writes to it
  private record Waiting(String model, byte[] payload, long size) {}

  /** Writes the fields of a record in the order of their schema. */
  private interface Fields {
    void write(BinaryEncoder encoder) throws IOException;
  }

  private final Deployment deployment;
  private final byte[] prefix;
  private final long mostWaiting;
  private final LogListener listener;
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
  private final Map<String, Deque<Waiting>> waiting = new LinkedHashMap<>();
  private @Nullable BinaryEncoder reused;
  private long waitingBytes;

  /**
   * @param schemaId what a schema registry calls the schema; negative for bare Avro
   * @param mostWaiting bytes of sides that may wait for the other
   */
  HopsworksFormat(Deployment deployment, int schemaId, long mostWaiting, LogListener listener) {
    this.deployment = deployment;
    this.prefix =
        schemaId < 0 ? new byte[0] : ByteBuffer.allocate(5).put((byte) 0).putInt(schemaId).array();
    this.mostWaiting = mostWaiting;
    this.listener = listener;
  }

  private static Schema schema(String resource) {
    try (var in = HopsworksFormat.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("no resource " + resource);
      }
      return new Schema.Parser().parse(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Version 4. */
  byte[] side(JsonWriter json, CapturedRecord record, List<Header> headers) {
    Payloads.write(json.begin(), record);
    headers.add(TYPE);
    return encode(encoder -> {
      encoder.writeInt(deployment.servingId());
      encoder.writeString(deployment.registryName().orElse(record.model().name()));
      encoder.writeInt(deployment.versionOf(record));
      encoder.writeLong(record.time().toEpochMilli());
      encoder.writeInt(record.statusCode());
      encoder.writeString(record.id());
      encoder.writeString(record.side() == Side.MODEL_INPUTS ? "request" : "response");
      encoder.writeBytes(json.array(), 0, json.length()); // UTF-8: a string looks the same
    });
  }

  /** Version 3; null for the side that comes first. */
  byte @Nullable [] pair(JsonWriter json, CapturedRecord record, List<Header> headers) {
    Payloads.write(json.begin(), record);
    String name = record.model() + "/" + record.id();
    if (record.side() == Side.MODEL_INPUTS) {
      keep(record, name, json.toBytes());
      return null;
    }
    Deque<Waiting> sides = waiting.get(name);
    Waiting request = sides == null ? null : sides.pollFirst();
    if (request == null) {
      listener.dropped(record.model().name(), DropReason.UNPAIRED);
      return null;
    }
    waitingBytes -= request.size();
    if (sides != null && sides.isEmpty()) {
      waiting.remove(name);
    }
    headers.add(TYPE);
    return encode(encoder -> {
      encoder.writeInt(deployment.servingId());
      encoder.writeString(deployment.inferenceService().orElse(record.model().name()));
      encoder.writeInt(deployment.versionOf(record));
      encoder.writeLong(record.time().toEpochMilli());
      encoder.writeInt(record.statusCode());
      encoder.writeBytes(request.payload());
      encoder.writeBytes(json.array(), 0, json.length());
      encoder.writeString(deployment.modelServer());
      encoder.writeString("DEFAULT");
    });
  }

  private void keep(CapturedRecord record, String name, byte[] payload) {
    long size = 256L + payload.length;
    waiting
        .computeIfAbsent(name, key -> new ArrayDeque<>(1))
        .addLast(new Waiting(record.model().name(), payload, size));
    waitingBytes += size;
    Iterator<Deque<Waiting>> oldest = waiting.values().iterator();
    while (waitingBytes > mostWaiting && oldest.hasNext()) {
      for (Waiting dropped : oldest.next()) {
        waitingBytes -= dropped.size();
        listener.dropped(dropped.model(), DropReason.UNPAIRED);
      }
      oldest.remove();
    }
  }

  private byte[] encode(Fields fields) {
    bytes.reset();
    bytes.writeBytes(prefix);
    try {
      BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, reused);
      reused = encoder;
      fields.write(encoder);
      encoder.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // not to an array
    }
    return bytes.toByteArray();
  }
}
