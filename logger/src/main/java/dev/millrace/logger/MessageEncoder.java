package dev.millrace.logger;

import dev.millrace.logger.LogMessage.Header;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes messages of records, in the format of each one's settings. For one thread. */
final class MessageEncoder {
  private final CloudEventsFormat cloudEvents;
  private final HopsworksFormat hopsworks;

  MessageEncoder(CloudEventsFormat cloudEvents, HopsworksFormat hopsworks) {
    this.cloudEvents = cloudEvents;
    this.hopsworks = hopsworks;
  }

  /** What a format makes of a record: the value, and the headers that belong to it. */
  @SuppressWarnings("ArrayRecordComponent") // handed on at once
  record Body(byte[] value, List<Header> headers) {
    Body {
      headers = List.copyOf(headers);
    }
  }

  /** The message; null if there will be one for both sides when the other one comes. */
  @Nullable LogMessage encode(CapturedRecord record) {
    ModelSettings settings = record.settings();
    Body body =
        switch (settings.format()) {
          case HOPSWORKS_V4 -> hopsworks.side(record);
          case HOPSWORKS_V3 -> hopsworks.pair(record);
          case CLOUDEVENTS -> cloudEvents.binary(record);
          case CLOUDEVENTS_STRUCTURED -> cloudEvents.structured(record);
          case JSON -> JsonFormat.encode(record);
          case PROTOBUF -> ProtobufFormat.encode(record);
        };
    if (body == null) {
      return null;
    }
    String model = record.model().name();
    List<Header> headers = new ArrayList<>(body.headers());
    headers.add(Header.of("millrace-model", model));
    headers.add(Header.of("millrace-version", record.model().version()));
    if (record.cutBytes() > 0) {
      headers.add(Header.of("millrace-cut-bytes", Long.toString(record.cutBytes())));
    }
    for (String name : List.of("traceparent", "tracestate")) {
      String value = record.header(name);
      if (value != null) {
        headers.add(Header.of(name, value));
      }
    }
    return new LogMessage(
        model,
        settings.topicOf(model),
        record.time().toEpochMilli(),
        key(record),
        headers,
        body.value());
  }

  private static byte @Nullable [] key(CapturedRecord record) {
    String key =
        switch (record.settings().key()) {
          case NONE -> null;
          case INFERENCE_ID -> record.id();
          case MODEL -> record.model().name();
        };
    return key == null ? null : key.getBytes(StandardCharsets.UTF_8);
  }
}
