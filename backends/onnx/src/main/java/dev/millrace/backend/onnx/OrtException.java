package dev.millrace.backend.onnx;

/** A failure that ONNX Runtime reports: its error code and its words. */
final class OrtException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The code for arguments that do not fit, ORT_INVALID_ARGUMENT. */
  static final int INVALID_ARGUMENT = 2;

  /** The code for files that are not what they should be, ORT_INVALID_PROTOBUF. */
  static final int INVALID_PROTOBUF = 7;

  private final int code;
  private final String words;

  OrtException(int code, String words) {
    super(words, null, false, false);
    this.code = code;
    this.words = words;
  }

  /** The value in the enum OrtErrorCode. */
  int code() {
    return code;
  }

  /** What the engine says, in its own words. */
  String words() {
    return words;
  }
}
