package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.api.spi.LogListener;
import dev.millrace.api.spi.LogListener.DropReason;
import dev.millrace.logger.LogMessage.Header;
import dev.millrace.logger.MessageEncoder.Body;
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
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
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

  /** A side that waits for the other. */
  private record Waiting(String model, String payload, long size) {}

  private final Deployment deployment;
  private final byte[] prefix;
  private final long mostWaiting;
  private final LogListener listener;
  private final GenericDatumWriter<GenericRecord> v4 = new GenericDatumWriter<>(V4);
  private final GenericDatumWriter<GenericRecord> v3 = new GenericDatumWriter<>(V3);
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
  Body side(CapturedRecord record) {
    GenericRecord fields = new GenericData.Record(V4);
    fields.put("servingId", deployment.servingId());
    fields.put("modelName", deployment.registryName().orElse(record.model().name()));
    fields.put("modelVersion", deployment.versionOf(record));
    fields.put("requestTimestamp", record.time().toEpochMilli());
    fields.put("responseHttpCode", record.statusCode());
    fields.put("inferenceId", record.id());
    fields.put("messageType", record.side() == Side.MODEL_INPUTS ? "request" : "response");
    fields.put("payload", new String(Payloads.json(record), UTF_8));
    return encode(v4, fields);
  }

  /** Version 3; null for the side that comes first. */
  @Nullable Body pair(CapturedRecord record) {
    String payload = new String(Payloads.json(record), UTF_8);
    String name = record.model() + "/" + record.id();
    if (record.side() == Side.MODEL_INPUTS) {
      keep(record, name, payload);
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
    GenericRecord fields = new GenericData.Record(V3);
    fields.put("modelId", deployment.servingId());
    fields.put("modelName", deployment.inferenceService().orElse(record.model().name()));
    fields.put("modelVersion", deployment.versionOf(record));
    fields.put("requestTimestamp", record.time().toEpochMilli());
    fields.put("responseHttpCode", record.statusCode());
    fields.put("inferenceRequest", request.payload());
    fields.put("inferenceResponse", payload);
    fields.put("modelServer", deployment.modelServer());
    fields.put("servingTool", "DEFAULT");
    return encode(v3, fields);
  }

  private void keep(CapturedRecord record, String name, String payload) {
    long size = 256 + 2L * payload.length();
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

  private Body encode(GenericDatumWriter<GenericRecord> writer, GenericRecord fields) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
    bytes.writeBytes(prefix);
    try {
      BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, reused);
      reused = encoder;
      writer.write(fields, encoder);
      encoder.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // not to an array
    }
    return new Body(bytes.toByteArray(), List.of(Header.of("content-type", "avro/binary")));
  }
}
