package dev.millrace.api;

/**
 * Why a request failed: one closed vocabulary, which each protocol maps to its own codes in one
 * exhaustive switch. The names are those of gRPC's status codes.
 */
public enum ErrorCode {
  /** The request is wrong whatever the state of the server; sending it again does not help. */
  INVALID_ARGUMENT,
  /** The model, the version or the route does not exist. */
  NOT_FOUND,
  /** The request is right, but this server is set up in a way that forbids it. */
  FAILED_PRECONDITION,
  /** A queue, a budget or a quota is full; sending it again later may help. */
  RESOURCE_EXHAUSTED,
  /** The time that the client allows had run out. */
  DEADLINE_EXCEEDED,
  /** The client no longer wants the answer. */
  CANCELLED,
  /** The model or the server is not able to serve just now: loading, draining, an upstream down. */
  UNAVAILABLE,
  /** Known to the protocol, not offered by this server or model. */
  UNIMPLEMENTED,
  /** The server or the engine failed; the fault is not the client's. */
  INTERNAL
}
