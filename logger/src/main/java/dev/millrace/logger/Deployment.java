package dev.millrace.logger;

import dev.millrace.api.Settings;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Where this process runs, as records tell it: from the settings, else from what Hopsworks and
 * KServe say in environment variables.
 *
 * @param servingId {@code serving-id}: Hopsworks' number of the deployment; 0 if nobody said
 * @param modelServer {@code model-server}: what Hopsworks' version 3 calls the server
 * @param registryName Hopsworks' {@code MODEL_NAME}: the name in the model registry
 * @param registryVersion Hopsworks' {@code MODEL_VERSION}
 * @param inferenceService {@code inference-service}, else {@code INFERENCE_SERVICE_NAME}, else
 *     {@code DEPLOYMENT_NAME}
 * @param namespace {@code namespace}, else {@code POD_NAMESPACE}
 * @param source {@code source}, else {@code HOSTNAME}: the pod
 * @param metadataHeaders {@code metadata-headers}: headers of requests that records repeat, in
 *     lower case
 */
record Deployment(
    int servingId,
    String modelServer,
    Optional<String> registryName,
    Optional<Integer> registryVersion,
    Optional<String> inferenceService,
    String namespace,
    String source,
    List<String> metadataHeaders) {

  /** What KServe's logger calls its source where it has no pod's name. */
  private static final String UNNAMED = "http://localhost:9081/";

  static Deployment read(Settings settings, Map<String, String> environment) {
    boolean hopsworks =
        environment.containsKey("DEPLOYMENT_NAME") || environment.containsKey("MODEL_FILES_PATH");
    return new Deployment(
        settings.integer("serving-id", 0, Integer.MAX_VALUE).orElse(0),
        settings.string("model-server").orElse("PYTHON"),
        hopsworks ? variable(environment, "MODEL_NAME") : Optional.empty(),
        hopsworks
            ? variable(environment, "MODEL_VERSION")
                .filter(text -> text.matches("\\d{1,9}"))
                .map(Integer::valueOf)
            : Optional.empty(),
        settings
            .string("inference-service")
            .or(() -> variable(environment, "INFERENCE_SERVICE_NAME"))
            .or(() -> variable(environment, "DEPLOYMENT_NAME")),
        settings.string("namespace").or(() -> variable(environment, "POD_NAMESPACE")).orElse(""),
        settings.string("source").or(() -> variable(environment, "HOSTNAME")).orElse(UNNAMED),
        settings.list("metadata-headers").stream()
            .flatMap(value -> List.of(value.toString().split("\\s*,\\s*")).stream())
            .map(name -> name.strip().toLowerCase(Locale.ROOT))
            .filter(name -> !name.isEmpty())
            .toList());
  }

  private static Optional<String> variable(Map<String, String> environment, String name) {
    return Optional.ofNullable(environment.get(name)).filter(value -> !value.isBlank());
  }

  /** The version as Hopsworks counts: a whole number, 0 for none. */
  int versionOf(CapturedRecord record) {
    return registryVersion.orElseGet(() -> number(record.model().version()));
  }

  private static int number(String version) {
    int number = 0;
    for (int i = 0; i < version.length(); i++) {
      int digit = version.charAt(i) - '0';
      if (digit < 0 || digit > 9 || i == 9) {
        return 0;
      }
      number = 10 * number + digit;
    }
    return number;
  }
}
