package dev.millrace.server.v1;

/** How the outputs of a {@code predict} request go back. */
public enum AnswerForm {
  /** Under {@code predictions}, one element for each row; for {@code instances}. */
  ROWS,
  /** Under {@code outputs}, each as it is; for {@code inputs}. */
  COLUMNS,
  /** As {@link #ROWS}, but elements that the model wrote as JSON texts are not quoted. */
  TEXTS
}
