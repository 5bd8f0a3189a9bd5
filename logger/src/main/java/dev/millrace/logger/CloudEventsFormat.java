package dev.millrace.logger;

import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.logger.LogMessage.Header;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * CloudEvents 1.0 with the types, attributes and extensions of KServe's logger, so that what reads
 * that one's events reads these; beyond those, {@code statuscode} on responses, and {@code
 * traceparent} and {@code tracestate} where the request had them.
 *
 * <p>In binary mode, attributes are headers, {@code ce_…} as the Kafka binding has them. In
 * structured mode, the value is one JSON object on one line. For one thread.
 */
final class CloudEventsFormat {
  static final String PREFIX = "ce_";
  static final String STRUCTURED = "application/cloudevents+json; charset=UTF-8";

  private static final String CE_ID = CapturedRecord.HEADER + "ce-id";
  private static final Header TYPE_JSON = Header.of("content-type", "application/json");
  private static final Header TYPE_BYTES = Header.of("content-type", "application/octet-stream");
  private static final Header TYPE_STRUCTURED = Header.of("content-type", STRUCTURED);
  private static final Header SPECVERSION = attribute("specversion", "1.0");
  private static final Header REQUEST = attribute("type", "org.kubeflow.serving.inference.request");
  private static final Header RESPONSE =
      attribute("type", "org.kubeflow.serving.inference.response");
  private static final Header COMPONENT = attribute("component", "predictor");
  private static final Header ENDPOINT = attribute("endpoint", "");
  private static final Header NO_METADATA = attribute("metadata", "{}");
  private static final Header OK = attribute("statuscode", "200");

  private final Deployment deployment;
  private final Clock clock;
  private final Header source;
  private final Header namespace;

  /** The model of the last record, and its service. */
  private @Nullable String serviceModel;

  private Header service = attribute("inferenceservicename", "");

  CloudEventsFormat(Deployment deployment, Clock clock) {
    this.deployment = deployment;
    this.clock = clock;
    this.source = attribute("source", deployment.source());
    this.namespace = attribute("namespace", deployment.namespace());
  }

  private static Header attribute(String name, String value) {
    return Header.of(PREFIX + name, value);
  }

  byte[] binary(JsonWriter json, InstantText times, CapturedRecord record, List<Header> headers) {
    byte[] data;
    if (Payloads.isRaw(record)) {
      V2Payload.Binary binary = V2Payload.binary(record);
      data = binary.bytes();
      headers.add(TYPE_BYTES);
      headers.add(
          Header.of("inference-header-content-length", Integer.toString(binary.jsonLength())));
    } else {
      Payloads.write(json.begin(), record);
      data = json.toBytes();
      headers.add(TYPE_JSON);
    }
    attributes(headers, times, record);
    return data;
  }

  byte[] structured(
      JsonWriter json, InstantText times, CapturedRecord record, List<Header> headers) {
    List<Header> attributes = new ArrayList<>();
    attributes(attributes, times, record);
    json.begin().beginObject();
    for (Header attribute : attributes) {
      json.name(attribute.name().substring(PREFIX.length())).string(attribute.value());
    }
    if (Payloads.isRaw(record)) {
      V2Payload.Binary binary = V2Payload.binary(record);
      json.name("datacontenttype").string(TYPE_BYTES.text());
      json.name("inferenceheadercontentlength").string(Integer.toString(binary.jsonLength()));
      json.name("data_base64").base64(binary.bytes());
    } else {
      json.name("datacontenttype").string(TYPE_JSON.text());
      json.name("data");
      Payloads.write(json, record);
    }
    json.endObject();
    headers.add(TYPE_STRUCTURED);
    return json.toBytes();
  }

  /** All but the content type, as the headers that they are in binary mode. */
  private void attributes(List<Header> headers, InstantText times, CapturedRecord record) {
    boolean isRequest = record.side() == Side.MODEL_INPUTS;
    String given = record.header(CE_ID);
    headers.add(SPECVERSION);
    headers.add(Header.of("ce_id", given == null ? record.id() : given));
    headers.add(isRequest ? REQUEST : RESPONSE);
    headers.add(source);
    headers.add(new Header("ce_time", times.of(record.time())));
    headers.add(service(record.model().name()));
    headers.add(namespace);
    headers.add(COMPONENT);
    headers.add(ENDPOINT);
    headers.add(metadata(record));
    headers.add(new Header("ce_recordedtime", times.of(clock.instant())));
    if (!isRequest) {
      int code = record.statusCode();
      headers.add(code == 200 ? OK : Header.of("ce_statuscode", Integer.toString(code)));
    }
    MessageEncoder.addIfThere(headers, "ce_traceparent", record.header(CapturedRecord.TRACEPARENT));
    MessageEncoder.addIfThere(headers, "ce_tracestate", record.header(CapturedRecord.TRACESTATE));
  }

  private Header service(String model) {
    if (!model.equals(serviceModel)) {
      serviceModel = model;
      service = attribute("inferenceservicename", deployment.inferenceService().orElse(model));
    }
    return service;
  }

  /** The headers of the request that are repeated, with names as Go writes them. */
  private Header metadata(CapturedRecord record) {
    if (deployment.metadataHeaders().isEmpty()) {
      return NO_METADATA;
    }
    JsonWriter json = new JsonWriter().beginObject();
    for (String name : deployment.metadataHeaders()) {
      String value = record.header(CapturedRecord.HEADER + name);
      if (value != null) {
        json.name(canonical(name)).beginArray().string(value).endArray();
      }
    }
    return new Header("ce_metadata", json.endObject().toBytes());
  }

  private static String canonical(String name) {
    StringBuilder text = new StringBuilder();
    for (String part : name.split("-", -1)) {
      text.append(text.isEmpty() ? "" : "-");
      if (!part.isEmpty()) {
        text.append(part.substring(0, 1).toUpperCase(Locale.ROOT)).append(part.substring(1));
      }
    }
    return text.toString();
  }
}
