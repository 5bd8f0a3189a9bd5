package dev.millrace.server;

import dev.millrace.api.InferenceException;
import dev.millrace.runtime.BatchingOptions;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.ModelPath;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.Setting.Group;
import dev.millrace.server.cloud.CloudConfig;
import dev.millrace.server.grpc.GrpcConfig;
import dev.millrace.server.http.HttpConfig;
import dev.millrace.server.llm.LlmConfig;
import dev.millrace.server.tracing.TracingConfig;
import dev.millrace.server.transport.TransportConfig;
import dev.millrace.server.v1.V1Config;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/** Makes each component's own configuration from the settings. */
final class ConfigurationReader {
  /** What each model may have of its own in the section of its logger. */
  private static final Set<Setting<?>> OF_A_MODEL =
      Set.of(
          ServerSettings.LOGGER_MODE,
          ServerSettings.LOGGER_SAMPLE_RATE,
          ServerSettings.LOGGER_SAMPLE_HEADER,
          ServerSettings.LOGGER_PAYLOAD_LIMIT,
          ServerSettings.LOGGER_ERRORS,
          ServerSettings.LOGGER_FORMAT,
          ServerSettings.LOGGER_PAYLOAD,
          ServerSettings.LOGGER_TOPIC,
          ServerSettings.LOGGER_KEY,
          ServerSettings.LOGGER_DELIVERY,
          ServerSettings.LOGGER_WHEN_FULL);

  private final Configuration configuration;

  ConfigurationReader(Configuration configuration) {
    this.configuration = configuration;
  }

  /**
   * What to start the server with.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is nothing to serve, or settings that do
   *     not go together
   */
  ServerConfig server() {
    RuntimeConfig runtime = runtime();
    return new ServerConfig(
        get(ServerSettings.SERVER_NAME),
        runtime,
        new TransportConfig(
            configuration.find(ServerSettings.HOST).orElse(""),
            get(ServerSettings.HTTP_PORT),
            get(ServerSettings.GRPC_PORT),
            get(ServerSettings.DETECTION_TIMEOUT)),
        new HttpConfig(
            get(ServerSettings.MAX_BODY_SIZE),
            get(ServerSettings.MAX_DECOMPRESSED_SIZE),
            get(ServerSettings.MAX_HEADER_SIZE),
            get(ServerSettings.INLINE_BODY_SIZE),
            get(ServerSettings.MIN_COMPRESSED_SIZE),
            get(ServerSettings.MAX_PIPELINED_REQUESTS),
            get(ServerSettings.IDLE_TIMEOUT),
            get(ServerSettings.REQUEST_TIMEOUT),
            get(ServerSettings.WRITE_TIMEOUT)),
        grpc(),
        get(ServerSettings.SYSTEM_SHARED_MEMORY),
        new CloudConfig(
            configuration.find(ServerSettings.DEFAULT_MODEL),
            configuration.find(ServerSettings.HEALTH_ROUTE),
            configuration.find(ServerSettings.PREDICT_ROUTE)),
        new V1Config(get(ServerSettings.KSERVE_BATCH_KEYS)),
        new LlmConfig(
            get(ServerSettings.OPENAI_PREFIX),
            configuration.find(ServerSettings.API_KEYS_FILE).map(Path::of)),
        configuration.find(ServerSettings.IO_THREADS).orElse(runtime.processors()),
        configuration.find(ServerSettings.DRAIN_DELAY).orElse(Duration.ZERO),
        get(ServerSettings.GRACE_PERIOD),
        logger(),
        TracingConfig.of(configuration.environment().variables()));
  }

  /** The logger, if somebody said anything of one. */
  private Optional<LoggerConfig> logger() {
    Map<String, Object> settings = loggerSettings(setting -> true);
    Optional<String> provider = configuration.find(ServerSettings.LOGGER_PROVIDER);
    settings.remove("provider");
    return settings.isEmpty() && provider.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new LoggerConfig(provider, settings, configuration.environment().variables()));
  }

  /** What was said of the logger, by its own keys. */
  private Map<String, Object> loggerSettings(Predicate<Setting<?>> which) {
    Map<String, Object> settings = new LinkedHashMap<>();
    for (Setting<?> setting : ServerSettings.ALL) {
      if (setting.group() == Group.LOGGER && which.test(setting)) {
        configuration
            .find(setting)
            .ifPresent(value -> settings.put(setting.key().substring("logger-".length()), value));
      }
    }
    return settings;
  }

  private GrpcConfig grpc() {
    GrpcConfig defaults = GrpcConfig.defaults();
    return new GrpcConfig(
        get(ServerSettings.GRPC_MAX_MESSAGE_SIZE),
        get(ServerSettings.GRPC_MAX_CALLS),
        get(ServerSettings.MAX_HEADER_SIZE),
        defaults.keepAliveTime(),
        defaults.keepAliveTimeout(),
        get(ServerSettings.GRPC_MIN_PING_INTERVAL),
        defaults.permitKeepAliveWithoutCalls(),
        get(ServerSettings.GRPC_IDLE_TIMEOUT),
        get(ServerSettings.GRPC_REFLECTION));
  }

  /** The models and how they are served. */
  RuntimeConfig runtime() {
    return new RuntimeConfig(
        places(),
        new ModelOptions(
            configuration.find(ServerSettings.BACKEND),
            configuration.find(ServerSettings.VERSION_POLICY),
            configuration.find(ServerSettings.VERSION_LABELS),
            configuration.find(ServerSettings.MAX_BATCH_SIZE),
            configuration.find(ServerSettings.INSTANCES),
            configuration.find(ServerSettings.THREADS),
            configuration.find(ServerSettings.DEVICE),
            List.of(),
            configuration.find(ServerSettings.QUEUE_LIMIT),
            configuration.find(ServerSettings.QUEUE_BYTES),
            configuration.find(ServerSettings.WARM_UP),
            configuration.find(ServerSettings.TIMEOUT),
            configuration.find(ServerSettings.CALIBRATION_TIME),
            new BatchingOptions(
                configuration.find(ServerSettings.BATCHING),
                configuration.find(ServerSettings.BATCH_POLICY),
                configuration.find(ServerSettings.LATENCY_TARGET),
                configuration.find(ServerSettings.MAX_QUEUE_DELAY),
                configuration.find(ServerSettings.BATCH_SIZES),
                configuration.find(ServerSettings.DEVICE_SHARE),
                Optional.empty(),
                List.of(),
                Optional.empty()),
            loggerSettings(OF_A_MODEL::contains)),
        configuration
            .find(ServerSettings.PROCESSORS)
            .orElseGet(Runtime.getRuntime()::availableProcessors),
        get(ServerSettings.MAX_IN_FLIGHT_REQUESTS),
        configuration
            .find(ServerSettings.MAX_IN_FLIGHT_BYTES)
            .orElseGet(RuntimeConfig::defaultMaxInFlightBytes),
        configuration.find(ServerSettings.MODEL_WAIT).orElse(Duration.ZERO),
        get(ServerSettings.GRACE_PERIOD),
        configuration.find(ServerSettings.POLL_INTERVAL).orElse(Duration.ZERO),
        configuration
            .find(ServerSettings.CALIBRATION_CACHE)
            .filter(directory -> !directory.equals("none"))
            .map(Path::of));
  }

  private <T> T get(Setting<T> setting) {
    return configuration.get(setting);
  }

  private List<ModelPath> places() {
    List<ModelPath> places = configuration.find(ServerSettings.MODEL).orElse(List.of());
    if (places.isEmpty()) {
      throw InferenceException.invalidArgument(
          "nothing to serve: name a model file, a directory with a model or a repository of models,"
              + " as in 'millrace serve path/to/model'");
    }
    Optional<String> name = configuration.find(ServerSettings.MODEL_NAME);
    if (name.isEmpty()) {
      return places;
    }
    ModelPath place = places.getFirst();
    boolean single = places.size() == 1;
    if (configuration.isPlatformDefault(ServerSettings.MODEL_NAME)) {
      return single && place.name().isEmpty() && !looksLikeRepository(place.path())
          ? List.of(ModelPath.of(place.path(), name.get()))
          : places;
    }
    if (!single) {
      throw InferenceException.invalidArgument(
          "model-name is '%s', but there are %d models to serve: give names in the configuration"
                  .formatted(name.get(), places.size())
              + " file, as in 'model: [{path: …, name: …}]'");
    }
    return List.of(ModelPath.of(place.path(), name.get()));
  }

  /**
   * Whether a directory can only be one of models: it has directories, none with a number for a
   * name, and no file. A name that the platform gives is not meant for such a one.
   */
  private static boolean looksLikeRepository(Path path) {
    if (!Files.isDirectory(path)) {
      return false;
    }
    boolean hasDirectory = false;
    try (DirectoryStream<Path> children = Files.newDirectoryStream(path)) {
      for (Path child : children) {
        String name = String.valueOf(child.getFileName());
        if (name.startsWith(".") || name.equals("lost+found")) {
          continue;
        }
        if (!Files.isDirectory(child) || name.matches("\\d+")) {
          return false;
        }
        hasDirectory = true;
      }
    } catch (IOException e) {
      // The repository reads the same directory next, and says what is wrong with it.
      return false;
    }
    return hasDirectory;
  }
}
