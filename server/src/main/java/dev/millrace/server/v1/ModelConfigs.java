package dev.millrace.server.v1;

import dev.millrace.api.InferenceException;
import dev.millrace.proto.tfserving.FileSystemStoragePathSourceConfig.ServableVersionPolicy;
import dev.millrace.proto.tfserving.ModelConfig;
import dev.millrace.proto.tfserving.ModelConfigList;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.runtime.ModelState;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.server.v2.RequestLimits;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * The models that shall be served, and no others.
 *
 * @param overrides the settings of each, by the name of the model
 */
record ModelConfigs(Map<String, Map<String, Object>> overrides) {
  /**
   * Reads TF Serving's configuration. Models come from the places that this server was started
   * with: {@code base_path} may repeat where a model is there, and is not followed elsewhere.
   *
   * @throws InferenceException INVALID_ARGUMENT if it does not do
   */
  static ModelConfigs read(ModelConfigList list) {
    RequestLimits.checkCount("models", list.getConfigCount());
    Map<String, Map<String, Object>> overrides = new LinkedHashMap<>();
    for (ModelConfig config : list.getConfigList()) {
      String name = config.getName();
      if (name.isEmpty()) {
        throw InferenceException.invalidArgument("a model in the config has no name");
      }
      requireOwnPath(config);
      if (overrides.put(name, overrides(config)) != null) {
        throw InferenceException.invalidArgument(
            "Illegal to list model %s multiple times in config list"
                .formatted(V1Errors.shortened(name)));
      }
    }
    return new ModelConfigs(overrides);
  }

  private static void requireOwnPath(ModelConfig config) {
    if (config.getBasePath().isEmpty()) {
      return;
    }
    try {
      Path last = Path.of(config.getBasePath()).getFileName();
      if (last != null && last.toString().equals(config.getName())) {
        return;
      }
    } catch (InvalidPathException e) {
      // Said below.
    }
    throw InferenceException.invalidArgument(
        "base_path of model %s has to end with its name: models are loaded from the places that the server was started with"
            .formatted(V1Errors.shortened(config.getName())));
  }

  private static Map<String, Object> overrides(ModelConfig config) {
    Map<String, Object> overrides = new LinkedHashMap<>();
    if (config.hasModelVersionPolicy()) {
      overrides.put("version-policy", policy(config.getModelVersionPolicy()));
    }
    if (config.getVersionLabelsCount() > 0) {
      RequestLimits.checkCount("labels", config.getVersionLabelsCount());
      overrides.put("version-labels", Map.copyOf(config.getVersionLabelsMap()));
    }
    return overrides;
  }

  private static Object policy(ServableVersionPolicy policy) {
    return switch (policy.getPolicyChoiceCase()) {
      case LATEST -> Map.of("latest", Math.max(1, policy.getLatest().getNumVersions()));
      case ALL -> "all";
      case SPECIFIC -> List.copyOf(policy.getSpecific().getVersionsList());
      case POLICYCHOICE_NOT_SET -> "latest";
    };
  }

  /**
   * Loads these models, and once all serve, unloads the others.
   *
   * @return completes when that is done, or with an InferenceException if one did not load; then
   *     nothing is unloaded
   */
  CompletableFuture<Void> applyTo(ModelRegistry registry) {
    List<CompletableFuture<Void>> loads = new ArrayList<>();
    overrides.forEach((name, settings) -> loads.add(registry.load(name, settings)));
    return all(loads).thenCompose(nothing -> unloadOthers(registry));
  }

  private CompletableFuture<Void> unloadOthers(ModelRegistry registry) {
    List<CompletableFuture<Void>> unloads = new ArrayList<>();
    registry.index().stream()
        .filter(status -> status.state() == ModelState.READY)
        .map(ModelStatus::name)
        .distinct()
        .filter(name -> !overrides.containsKey(name))
        .forEach(name -> unloads.add(registry.unload(name)));
    return all(unloads);
  }

  private static CompletableFuture<Void> all(List<CompletableFuture<Void>> futures) {
    return CompletableFuture.allOf(futures.toArray(CompletableFuture[]::new));
  }
}
