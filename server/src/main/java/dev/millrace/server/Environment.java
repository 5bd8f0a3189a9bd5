package dev.millrace.server;

import dev.millrace.api.Settings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What the environment variables say: {@code MILLRACE_*} for each setting, and what the platform
 * sets (Hopsworks, KServe, Kubernetes, SageMaker, Vertex AI) as defaults below all else.
 */
final class Environment {
  private static final String PREFIX = "MILLRACE_";
  private static final String CONFIG = "MILLRACE_CONFIG";

  /** Of the launcher, not of the server. */
  private static final Set<String> OTHERS = Set.of(CONFIG, "MILLRACE_HOME", "MILLRACE_JAVA");

  /**
   * What Kubernetes sets in every pod for a Service called {@code millrace} or {@code millrace-…}.
   */
  private static final Pattern SERVICE_LINK =
      Pattern.compile(".*_SERVICE_HOST|.*_SERVICE_PORT(_.*)?|.*_PORT_\\d+_(TCP|UDP|SCTP)(_.*)?");

  private static final Pattern SERVICE_ADDRESS = Pattern.compile("(tcp|udp|sctp)://.*");

  private final Map<String, String> variables;

  Environment(Map<String, String> variables) {
    this.variables = Map.copyOf(variables);
  }

  /** All variables. */
  Map<String, String> variables() {
    return variables;
  }

  /** The variable's value; empty if it says nothing. */
  Optional<String> get(String name) {
    return Optional.ofNullable(variables.get(name)).filter(value -> !Arguments.isUnset(value));
  }

  /** The values of {@code MILLRACE_*}, under the variables' names. */
  Settings settings() {
    Map<String, Object> values = new HashMap<>();
    for (Setting<?> setting : ServerSettings.ALL) {
      get(setting.variable())
          .filter(value -> !SERVICE_ADDRESS.matcher(value).matches())
          .ifPresent(value -> values.put(setting.variable(), value));
    }
    return Settings.of("environment", values);
  }

  /** A line for each {@code MILLRACE_*} that means nothing. */
  List<String> warnings() {
    Set<String> known =
        ServerSettings.ALL.stream().map(Setting::variable).collect(Collectors.toSet());
    List<String> warnings = new ArrayList<>();
    new TreeMap<>(variables)
        .forEach((name, value) -> {
          if (name.startsWith(PREFIX)
              && !known.contains(name)
              && !OTHERS.contains(name)
              && !SERVICE_LINK.matcher(name).matches()
              && !SERVICE_ADDRESS.matcher(value).matches()) {
            warnings.add(
                "ignored environment variable "
                    + name
                    + ": no such setting"
                    + Settings.nearest(name, known)
                        .map(nearest -> "; did you mean " + nearest + "?")
                        .orElse(""));
          }
        });
    return warnings;
  }

  /**
   * The configuration file that the environment names: {@code MILLRACE_CONFIG}, else Hopsworks'
   * {@code CONFIG_FILE_PATH} if that is YAML (there it may be a file of any kind, for a script).
   */
  Optional<String> configFile() {
    return get(CONFIG)
        .or(() ->
            get("CONFIG_FILE_PATH")
                .filter(path -> {
                  String name = path.toLowerCase(Locale.ROOT);
                  return name.endsWith(".yaml") || name.endsWith(".yml");
                }));
  }

  /** What the platform's variables and mounts amount to, below any configuration. */
  Map<Setting<?>, PlatformDefault> platformDefaults() {
    Map<Setting<?>, PlatformDefault> defaults = new HashMap<>();
    take(defaults, ServerSettings.MODEL, "MODEL_FILES_PATH");
    if (!defaults.containsKey(ServerSettings.MODEL)) {
      for (Path place : ServerSettings.DEFAULT_PLACES) {
        if (Files.exists(place)) {
          defaults.put(
              ServerSettings.MODEL, new PlatformDefault(place.toString(), place.toString()));
          break;
        }
      }
    }
    for (String name : modelNameVariables()) {
      if (take(defaults, ServerSettings.MODEL_NAME, name)) {
        break;
      }
    }
    if (get("MODEL_INIT_MODE").filter("async"::equals).isPresent()) {
      defaults.put(ServerSettings.MODEL_WAIT, new PlatformDefault("MODEL_INIT_MODE", "10m"));
    }
    take(defaults, ServerSettings.DEFAULT_MODEL, "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME");
    take(defaults, ServerSettings.HTTP_PORT, "SAGEMAKER_BIND_TO_PORT");
    take(defaults, ServerSettings.HTTP_PORT, "AIP_HTTP_PORT");
    take(defaults, ServerSettings.HEALTH_ROUTE, "AIP_HEALTH_ROUTE");
    take(defaults, ServerSettings.PREDICT_ROUTE, "AIP_PREDICT_ROUTE");
    takeOpenAiPrefix(defaults);
    get("XDG_CACHE_HOME")
        .map(directory -> new PlatformDefault("XDG_CACHE_HOME", directory + "/millrace"))
        .or(() -> get("HOME").map(home -> new PlatformDefault("HOME", home + "/.cache/millrace")))
        .ifPresent(cache -> defaults.put(ServerSettings.CALIBRATION_CACHE, cache));
    if (get("KUBERNETES_SERVICE_HOST").isPresent() && get("K_REVISION").isEmpty()) {
      defaults.put(
          ServerSettings.DRAIN_DELAY, new PlatformDefault("KUBERNETES_SERVICE_HOST", "5s"));
    }
    return defaults;
  }

  /** KServe's own variable, in which nothing means that there is no prefix. */
  private void takeOpenAiPrefix(Map<Setting<?>, PlatformDefault> defaults) {
    String variable = "KSERVE_OPENAI_ROUTE_PREFIX";
    String value = variables.get(variable);
    if (value != null && (value.isBlank() || get(variable).isPresent())) {
      String prefix = value.strip();
      defaults.put(
          ServerSettings.OPENAI_PREFIX,
          new PlatformDefault(variable, prefix.startsWith("/") ? prefix : "/" + prefix));
    }
  }

  /** Where the model's public name may stand. A bare MODEL_NAME is Hopsworks' only beside these. */
  private List<String> modelNameVariables() {
    return get("MODEL_FILES_PATH").isPresent()
        ? List.of("DEPLOYMENT_NAME", "MODEL_NAME", "INFERENCE_SERVICE_NAME")
        : List.of("DEPLOYMENT_NAME", "INFERENCE_SERVICE_NAME");
  }

  private boolean take(
      Map<Setting<?>, PlatformDefault> defaults, Setting<?> setting, String variable) {
    Optional<String> value = get(variable);
    value.ifPresent(text -> defaults.put(setting, new PlatformDefault(variable, text)));
    return value.isPresent();
  }

  /** What of the platform is worth a line at the start; empty if nothing is. */
  Optional<String> platform() {
    String facts =
        List.of(
                "DEPLOYMENT_NAME",
                "MODEL_NAME",
                "MODEL_VERSION",
                "MODEL_FILES_PATH",
                "ARTIFACT_FILES_PATH",
                "ARTIFACT_VERSION",
                "CONFIG_FILE_PATH",
                "INFERENCE_SERVICE_NAME")
            .stream()
            .flatMap(name -> get(name).map(value -> name + "=" + value).stream())
            .collect(Collectors.joining(" "));
    return facts.isEmpty() ? Optional.empty() : Optional.of(facts);
  }

  /**
   * A default that the platform gives.
   *
   * @param origin the variable or path that says so
   */
  record PlatformDefault(String origin, String value) {}
}
