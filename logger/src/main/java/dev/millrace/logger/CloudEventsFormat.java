package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.spi.InferenceLogger.Side;
import dev.millrace.logger.LogMessage.Header;
import dev.millrace.logger.MessageEncoder.Body;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * CloudEvents 1.0 with the types, attributes and extensions of KServe's logger, so that what reads
 * that one's events reads these; beyond those, {@code statuscode} on responses, and {@code
 * traceparent} and {@code tracestate} where the request had them.
 *
 * <p>In binary mode, attributes are headers, {@code ce_…} as the Kafka binding has them. In
 * structured mode, the value is one JSON object on one line.
 */
final class CloudEventsFormat {
  static final String PREFIX = "ce_";
  static final String STRUCTURED = "application/cloudevents+json; charset=UTF-8";

  private static final String REQUEST = "org.kubeflow.serving.inference.request";
  private static final String RESPONSE = "org.kubeflow.serving.inference.response";
  private static final String JSON = "application/json";

  private final Deployment deployment;
  private final Clock clock;

  CloudEventsFormat(Deployment deployment, Clock clock) {
    this.deployment = deployment;
    this.clock = clock;
  }

  Body binary(CapturedRecord record) {
    List<Header> headers = new ArrayList<>();
    byte[] data;
    if (Payloads.isRaw(record)) {
      V2Payload.Binary binary = V2Payload.binary(record);
      data = binary.bytes();
      headers.add(Header.of("content-type", "application/octet-stream"));
      headers.add(
          Header.of("inference-header-content-length", Integer.toString(binary.jsonLength())));
    } else {
      data = Payloads.json(record);
      headers.add(Header.of("content-type", JSON));
    }
    attributes(record).forEach((name, value) -> headers.add(Header.of(PREFIX + name, value)));
    return new Body(data, headers);
  }

  Body structured(CapturedRecord record) {
    byte[] value =
        TensorJson.bytes(json -> {
          json.writeStartObject();
          attributes(record).forEach(json::writeStringProperty);
          if (Payloads.isRaw(record)) {
            V2Payload.Binary binary = V2Payload.binary(record);
            json.writeStringProperty("datacontenttype", "application/octet-stream");
            json.writeStringProperty(
                "inferenceheadercontentlength", Integer.toString(binary.jsonLength()));
            json.writeName("data_base64");
            json.writeBinary(binary.bytes());
          } else {
            json.writeStringProperty("datacontenttype", JSON);
            json.writeName("data");
            json.writeRawValue(new String(Payloads.json(record), UTF_8));
          }
          json.writeEndObject();
        });
    return new Body(value, List.of(Header.of("content-type", STRUCTURED)));
  }

  /** All but the content type, by name, in the form that they have as texts. */
  private Map<String, String> attributes(CapturedRecord record) {
    Map<String, String> attributes = new LinkedHashMap<>();
    boolean isRequest = record.side() == Side.MODEL_INPUTS;
    String given = record.header("ce-id");
    attributes.put("specversion", "1.0");
    attributes.put("id", given == null ? record.id() : given);
    attributes.put("type", isRequest ? REQUEST : RESPONSE);
    attributes.put("source", deployment.source());
    attributes.put("time", record.time().toString());
    attributes.put(
        "inferenceservicename", deployment.inferenceService().orElse(record.model().name()));
    attributes.put("namespace", deployment.namespace());
    attributes.put("component", "predictor");
    attributes.put("endpoint", "");
    attributes.put("metadata", metadata(record));
    attributes.put("recordedtime", clock.instant().toString());
    if (!isRequest) {
      attributes.put("statuscode", Integer.toString(record.statusCode()));
    }
    for (String name : List.of("traceparent", "tracestate")) {
      String value = record.header(name);
      if (value != null) {
        attributes.put(name, value);
      }
    }
    return attributes;
  }

  /** The headers of the request that are repeated, with names as Go writes them. */
  private String metadata(CapturedRecord record) {
    return new String(
        TensorJson.bytes(json -> {
          json.writeStartObject();
          for (String name : deployment.metadataHeaders()) {
            String value = record.header(name);
            if (value != null) {
              json.writeArrayPropertyStart(canonical(name));
              json.writeString(value);
              json.writeEndArray();
            }
          }
          json.writeEndObject();
        }),
        UTF_8);
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
