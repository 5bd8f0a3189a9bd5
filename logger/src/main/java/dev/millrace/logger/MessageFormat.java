package dev.millrace.logger;

/** What a message is. */
enum MessageFormat {
  HOPSWORKS_V4,
  HOPSWORKS_V3,
  CLOUDEVENTS,
  CLOUDEVENTS_STRUCTURED,
  JSON,
  PROTOBUF;

  boolean isAvro() {
    return this == HOPSWORKS_V4 || this == HOPSWORKS_V3;
  }

  /** Whether a message is one line of text. */
  boolean isLine() {
    return this == JSON || this == CLOUDEVENTS_STRUCTURED;
  }
}
