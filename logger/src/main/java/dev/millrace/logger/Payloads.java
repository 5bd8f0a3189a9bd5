package dev.millrace.logger;

/** Decides between the forms of a payload. */
final class Payloads {
  private static final String PROTOCOL = CapturedRecord.HEADER + ":protocol";

  private Payloads() {}

  /** The body of a request or response as JSON, in the form of the record's settings. */
  static void write(JsonWriter json, CapturedRecord record) {
    boolean v1 =
        switch (record.settings().payload()) {
          case AUTO -> cameByV1(record);
          case V1 -> true;
          case V2, RAW -> false;
        };
    if (v1) {
      V1Payload.write(json, record);
    } else {
      V2Payload.write(json, record);
    }
  }

  static boolean isRaw(CapturedRecord record) {
    return record.settings().payload() == PayloadForm.RAW && record.error() == null;
  }

  private static boolean cameByV1(CapturedRecord record) {
    return "v1".equals(record.header(PROTOCOL));
  }
}
