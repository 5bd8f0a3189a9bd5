package dev.millrace.logger;

import dev.millrace.api.ModelId;
import dev.millrace.logger.LogMessage.Header;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes messages of records, in the format of each one's settings. For one thread. */
final class MessageEncoder {
  /** That any message has. */
  private static final int MOST_HEADERS = 20;

  private static final String MODEL = "millrace-model";
  private static final String VERSION = "millrace-version";

  private final CloudEventsFormat cloudEvents;
  private final HopsworksFormat hopsworks;
  private final JsonWriter json = new JsonWriter();
  private final InstantText times = new InstantText();

  /** Of the message that is being made. */
  private final List<Header> headers = new ArrayList<>(MOST_HEADERS);

  /** The model of the last message, and its headers. */
  private @Nullable ModelId model;

  private Header nameHeader = Header.of(MODEL, "");
  private Header versionHeader = Header.of(VERSION, "");

  MessageEncoder(CloudEventsFormat cloudEvents, HopsworksFormat hopsworks) {
    this.cloudEvents = cloudEvents;
    this.hopsworks = hopsworks;
  }

  /** The message; null if there will be one for both sides when the other one comes. */
  @Nullable LogMessage encode(CapturedRecord record) {
    ModelSettings settings = record.settings();
    headers.clear();
    byte[] value =
        switch (settings.format()) {
          case HOPSWORKS_V4 -> hopsworks.side(json, record, headers);
          case HOPSWORKS_V3 -> hopsworks.pair(json, record, headers);
          case CLOUDEVENTS -> cloudEvents.binary(json, times, record, headers);
          case CLOUDEVENTS_STRUCTURED -> cloudEvents.structured(json, times, record, headers);
          case JSON -> JsonFormat.encode(json, times, record, headers);
          case PROTOBUF -> ProtobufFormat.encode(record, headers);
        };
    if (value == null) {
      return null;
    }
    if (!record.model().equals(model)) {
      model = record.model();
      nameHeader = Header.of(MODEL, model.name());
      versionHeader = Header.of(VERSION, model.version());
    }
    headers.add(nameHeader);
    headers.add(versionHeader);
    if (record.cutBytes() > 0) {
      headers.add(Header.of("millrace-cut-bytes", Long.toString(record.cutBytes())));
    }
    addIfThere(headers, "traceparent", record.header(CapturedRecord.TRACEPARENT));
    addIfThere(headers, "tracestate", record.header(CapturedRecord.TRACESTATE));
    String name = record.model().name();
    return new LogMessage(
        name, settings.topicOf(name), record.time().toEpochMilli(), key(record), headers, value);
  }

  /** Adds a header that a request may have had. */
  static void addIfThere(List<Header> headers, String name, @Nullable String value) {
    if (value != null) {
      headers.add(Header.of(name, value));
    }
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
