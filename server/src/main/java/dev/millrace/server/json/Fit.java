package dev.millrace.server.json;

/** Whether a JSON value can be an element of a tensor. */
public enum Fit {
  FITS,
  /** It is not of the kind that the datatype is written as. */
  WRONG_TYPE,
  /** It is, but the datatype does not hold that value. */
  OUT_OF_RANGE
}
