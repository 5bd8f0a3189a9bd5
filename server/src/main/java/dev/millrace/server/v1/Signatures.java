package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;

/** The names by which a client can ask for one of a model's signatures. */
final class Signatures {
  /** The signature that every model has. */
  static final String DEFAULT = "serving_default";

  static final String PREDICT_METHOD = "tensorflow/serving/predict";
  static final String CLASSIFY_METHOD = "tensorflow/serving/classify";
  static final String REGRESS_METHOD = "tensorflow/serving/regress";

  private Signatures() {}

  static boolean isDefault(String name) {
    return name.isEmpty() || name.equals(DEFAULT);
  }

  /**
   * Checks the name in a request over REST.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is no such signature
   */
  static void require(String name) {
    if (!isDefault(name)) {
      throw InferenceException.invalidArgument(
          "Serving signature name: \"%s\" not found in signature def"
              .formatted(V1Errors.shortened(name)));
    }
  }
}
