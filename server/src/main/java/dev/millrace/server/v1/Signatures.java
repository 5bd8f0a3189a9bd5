package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;

/** The names by which a client can ask for one of a model's signatures. */
final class Signatures {
  /** The property of a model whose signature has another name than most. */
  private static final String PROPERTY = "signature";

  /** The name of a signature where nobody says otherwise. */
  static final String DEFAULT = "serving_default";

  static final String PREDICT_METHOD = "tensorflow/serving/predict";
  static final String CLASSIFY_METHOD = "tensorflow/serving/classify";
  static final String REGRESS_METHOD = "tensorflow/serving/regress";

  private Signatures() {}

  /** The name of the signature that the model itself is. */
  static String of(ModelMetadata metadata) {
    return metadata.properties().getOrDefault(PROPERTY, DEFAULT);
  }

  /** Whether a request for that signature is one for the model itself. */
  static boolean isModel(String name, ModelMetadata metadata) {
    return name.isEmpty() || name.equals(of(metadata));
  }

  /**
   * Checks the name in a request over REST.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is no such signature
   */
  static void require(String name, ModelMetadata metadata) {
    if (!isModel(name, metadata)) {
      throw InferenceException.invalidArgument(
          "Serving signature name: \"%s\" not found in signature def"
              .formatted(V1Errors.shortened(name)));
    }
  }
}
