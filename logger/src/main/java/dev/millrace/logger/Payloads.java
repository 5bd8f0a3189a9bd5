package dev.millrace.logger;

/** Decides between the forms of a payload. */
final class Payloads {
  private Payloads() {}

  /** The body of a request or response as JSON, in the form of the record's settings. */
  static byte[] json(CapturedRecord record) {
    return switch (record.settings().payload()) {
      case AUTO -> cameByV1(record) ? V1Payload.json(record) : V2Payload.json(record);
      case V1 -> V1Payload.json(record);
      case V2, RAW -> V2Payload.json(record);
    };
  }

  static boolean isRaw(CapturedRecord record) {
    return record.settings().payload() == PayloadForm.RAW && record.error() == null;
  }

  private static boolean cameByV1(CapturedRecord record) {
    return "v1".equals(record.header(":protocol"));
  }
}
