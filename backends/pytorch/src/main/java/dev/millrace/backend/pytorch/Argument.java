package dev.millrace.backend.pytorch;

/**
 * An argument of a script's {@code forward}.
 *
 * @param type as the script writes it, as in {@code Tensor} or {@code Optional[Tensor]}
 * @param optional whether it has a default
 */
record Argument(String name, String type, boolean optional) {
  boolean isTensor() {
    return type.equals("Tensor") || type.equals("Optional[Tensor]");
  }
}
