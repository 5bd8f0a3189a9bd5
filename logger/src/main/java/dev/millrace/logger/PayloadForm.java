package dev.millrace.logger;

/** How tensors are written in a message. */
enum PayloadForm {
  /** As V1 JSON if the request came by the V1 protocol, else as V2 JSON. */
  AUTO,
  /** {@code instances} and {@code predictions}. */
  V1,
  /** {@code inputs} and {@code outputs}, as the Open Inference Protocol has them. */
  V2,
  /** V2 with the tensors as bytes behind the JSON. */
  RAW
}
