package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.runtime.BatchingOptions;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.ModelPath;
import dev.millrace.runtime.VersionPolicy;
import dev.millrace.server.cloud.CloudConfig;
import dev.millrace.server.transport.TransportConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigurationTest {
  @TempDir Path directory;

  private static Configuration resolve(Map<String, Object> flags, Map<String, String> variables) {
    return Configuration.resolve(flags, Optional.empty(), new Environment(variables));
  }

  private Configuration file(String yaml) throws IOException {
    return file(yaml, Map.of(), Map.of());
  }

  private Configuration file(String yaml, Map<String, Object> flags, Map<String, String> variables)
      throws IOException {
    Path file = Files.writeString(directory.resolve("millrace.yaml"), yaml);
    return Configuration.resolve(flags, Optional.of(file.toString()), new Environment(variables));
  }

  @Test
  void flag_winsOverVariableOverFileOverDefault() throws IOException {
    String yaml = "http-port: 3\ngrpc-port: 3\nmax-body-size: 3MB\n";
    Configuration configuration =
        file(
            yaml,
            Map.of("http-port", "1"),
            Map.of("MILLRACE_HTTP_PORT", "2", "MILLRACE_GRPC_PORT", "2"));

    assertThat(configuration.get(ServerSettings.HTTP_PORT)).isEqualTo(1);
    assertThat(configuration.get(ServerSettings.GRPC_PORT)).isEqualTo(2);
    assertThat(configuration.get(ServerSettings.MAX_BODY_SIZE)).isEqualTo(3 << 20);
    assertThat(configuration.get(ServerSettings.SERVER_NAME)).isEqualTo("millrace");
  }

  @Test
  void description_saysWhatHoldsAndWhoSaidSo() throws IOException {
    Configuration configuration =
        file("max-body-size: 3MB", Map.of("http-port", "1"), Map.of("MILLRACE_GRPC_PORT", "none"));

    assertThat(configuration.describe())
        .anySatisfy(line ->
            assertThat(line)
                .startsWith(
                    "Network: http-port=1 (--http-port) grpc-port=none"
                        + " (MILLRACE_GRPC_PORT) server-name=millrace "))
        .anySatisfy(line ->
            assertThat(line)
                .startsWith("Limits: max-body-size=3MB (" + directory)
                .contains("idle-timeout=75s"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          http-port     | abc    | a whole number from 0 to 65535
          http-port     | 65536  | a whole number from 0 to 65535
          grpc-port     | nope   | a whole number from 0 to 65535
          max-body-size | 3XB    | a size with a unit, as in 64MB or 512KB
          max-body-size | 3GB    | a size of less than 2GB
          max-body-size | 0B     | a size of at least 1B
          idle-timeout  | 5      | a time span with a unit, as in 10ms, 2s or 5m
          idle-timeout  | 0s     | more than no time
          warm-up       | perhaps| true or false
          device        | tpu    | auto, cpu, gpu or gpu:N
          log-level     | loud   | one of off, error, warn, info, debug, trace
          instances     | 0      | a whole number from 1 to 1024
          batch-policy  | best   | one of adaptive, greedy, fixed
          batch-sizes   | 1,x    | numbers of rows, as in 1,4,16
          latency-target| 0s     | more than no time
          version-policy| newest | latest, all, a list of versions or latest: N
          health-route  | ping   | the path of a URL, which begins with /
          predict-route | /a{b}  | the path of a URL, which begins with /
          """)
  void badValue_isNamedWithItsSourceAndWhatWouldDo(String key, String value, String expected)
      throws IOException {
    String end = ": expected " + expected + ", got '" + value + "'";
    String variable = "MILLRACE_" + key.toUpperCase(java.util.Locale.ROOT).replace('-', '_');
    assertThatThrownBy(() -> resolve(Map.of(key, value), Map.of()))
        .isInstanceOf(InferenceException.class)
        .hasMessage("command line: --" + key + end);
    assertThatThrownBy(() -> resolve(Map.of(), Map.of(variable, value)))
        .hasMessage("environment: " + variable + end);
    assertThatThrownBy(() -> file(key + ": " + value))
        .hasMessage(directory.resolve("millrace.yaml") + ": " + key + end);
  }

  @Test
  void badValue_isAnErrorEvenIfAnotherHidesIt() {
    assertThatThrownBy(() -> file("http-port: x", Map.of("http-port", "1"), Map.of()))
        .hasMessageContaining("http-port: expected");
  }

  @Test
  void unknownKeyInFile_isAnErrorWithTheNearest() {
    assertThatThrownBy(() -> file("htp-port: 1"))
        .hasMessage(
            directory.resolve("millrace.yaml")
                + ": unknown key 'htp-port'; did you mean 'http-port'?");
    assertThatThrownBy(() -> file("model: [{path: a, nam: b}]"))
        .hasMessageContaining("unknown key 'model[0].nam'; did you mean 'name'?");
  }

  @Test
  void unknownVariable_isWarnedOfWithTheNearest() {
    assertThat(resolve(Map.of(), Map.of("MILLRACE_HTP_PORT", "1", "OTHER", "x")).warnings())
        .containsExactly(
            "ignored environment variable MILLRACE_HTP_PORT: no such setting; did you mean"
                + " MILLRACE_HTTP_PORT?");
  }

  @Test
  void variablesOfKubernetesServices_areNotSettings() {
    Configuration configuration =
        resolve(
            Map.of(),
            Map.of(
                "MILLRACE_HTTP_PORT", "tcp://10.0.0.1:80",
                "MILLRACE_HTTP_PORT_80_TCP_ADDR", "10.0.0.1",
                "MILLRACE_HTTP_SERVICE_HOST", "10.0.0.1",
                "MILLRACE_SERVICE_PORT_HTTP", "80",
                "MILLRACE_PORT", "tcp://10.0.0.1:80"));

    assertThat(configuration.warnings()).isEmpty();
    assertThat(configuration.get(ServerSettings.HTTP_PORT)).isEqualTo(8080);
  }

  @Test
  void emptyVariable_saysNothing() {
    assertThat(
            resolve(Map.of(), Map.of("MILLRACE_HTTP_PORT", "", "MILLRACE_HOST", "<no value>"))
                .find(ServerSettings.HTTP_PORT))
        .isEmpty();
  }

  @Test
  void missingFile_isAnError() {
    assertThatThrownBy(() ->
            Configuration.resolve(
                Map.of(), Optional.of("/no/such.yaml"), new Environment(Map.of())))
        .isInstanceOf(InferenceException.class)
        .hasMessageStartingWith("/no/such.yaml: ");
  }

  @Test
  void fileOfHopsworks_isReadIfItIsYaml() throws IOException {
    Path yaml = Files.writeString(directory.resolve("c.yml"), "http-port: 7");
    Path other = Files.writeString(directory.resolve("c.json"), "{\"http-port\": 8}");

    assertThat(
            resolve(Map.of(), Map.of("CONFIG_FILE_PATH", yaml.toString()))
                .get(ServerSettings.HTTP_PORT))
        .isEqualTo(7);
    assertThat(
            resolve(Map.of(), Map.of("CONFIG_FILE_PATH", other.toString()))
                .get(ServerSettings.HTTP_PORT))
        .isEqualTo(8080);
  }

  @Test
  void platformNames_applyBelowAllElse() {
    Map<String, String> hopsworks =
        Map.of(
            "MODEL_FILES_PATH", "/files", "DEPLOYMENT_NAME", "churn", "MODEL_NAME", "churnmodel");

    assertThat(places(Map.of(), hopsworks))
        .containsExactly(ModelPath.of(Path.of("/files"), "churn"));
    assertThat(places(Map.of("model", List.of("m")), hopsworks))
        .containsExactly(ModelPath.of(Path.of("m"), "churn"));
    assertThat(places(Map.of("model", List.of("m"), "model-name", "n"), hopsworks))
        .containsExactly(ModelPath.of(Path.of("m"), "n"));
    assertThat(places(Map.of("model", List.of("m", "o")), hopsworks))
        .containsExactly(ModelPath.of(Path.of("m")), ModelPath.of(Path.of("o")));
    assertThat(places(Map.of("model", List.of("m")), Map.of("MODEL_NAME", "not-ours")))
        .containsExactly(ModelPath.of(Path.of("m")));
    assertThat(places(Map.of("model", List.of("m")), Map.of("INFERENCE_SERVICE_NAME", "isvc")))
        .containsExactly(ModelPath.of(Path.of("m"), "isvc"));
  }

  @Test
  void platformName_isNotForARepository() throws IOException {
    Files.createDirectories(directory.resolve("repository/a/1"));
    Files.createDirectories(directory.resolve("single/1"));
    String repository = directory.resolve("repository").toString();
    String single = directory.resolve("single").toString();

    assertThat(places(Map.of("model", List.of(repository)), Map.of("DEPLOYMENT_NAME", "d")))
        .containsExactly(ModelPath.of(Path.of(repository)));
    assertThat(places(Map.of("model", List.of(single)), Map.of("DEPLOYMENT_NAME", "d")))
        .containsExactly(ModelPath.of(Path.of(single), "d"));
  }

  private static List<ModelPath> places(Map<String, Object> flags, Map<String, String> variables) {
    return new ConfigurationReader(resolve(flags, variables)).runtime().models();
  }

  @Test
  void oneNameForSeveralModels_isAnError() {
    assertThatThrownBy(
            () -> places(Map.of("model", List.of("a", "b"), "model-name", "n"), Map.of()))
        .hasMessageStartingWith("model-name is 'n', but there are 2 models to serve");
  }

  @Test
  void modelsInFile_areAPathOrAListOfPathsAndNames() throws IOException {
    assertThat(new ConfigurationReader(file("model: a")).runtime().models())
        .containsExactly(ModelPath.of(Path.of("a")));
    assertThat(new ConfigurationReader(file("model: [a, {path: b, name: c}]")).runtime().models())
        .containsExactly(ModelPath.of(Path.of("a")), ModelPath.of(Path.of("b"), "c"));
    assertThatThrownBy(() -> file("model: [{name: c}]"))
        .hasMessageContaining("model: expected a path in each");
  }

  @Test
  void logger_isThere_ifAnythingIsSaidOfIt() throws IOException {
    assertThat(new ConfigurationReader(file("model: m")).server().logger()).isEmpty();
    Configuration configuration =
        file(
            "model: m\nlogger-kafka: {acks: 1}\nlogger-mode: none",
            Map.of("logger-kafka", "security.protocol=SASL_SSL; sasl.jaas.config=a b=\"c\"\\;"),
            Map.of("MILLRACE_LOGGER_SINK", "kafka", "DEPLOYMENT_NAME", "d"));
    ServerConfig config = new ConfigurationReader(configuration).server();
    LoggerConfig logger = config.logger().orElseThrow();
    assertThat(logger.settings())
        .isEqualTo(
            Map.of(
                "sink",
                "kafka",
                "mode",
                "none",
                "kafka",
                Map.of("security.protocol", "SASL_SSL", "sasl.jaas.config", "a b=\"c\";")));
    assertThat(logger.environment()).containsEntry("DEPLOYMENT_NAME", "d");
    assertThat(config.runtime().options().logger()).isEqualTo(Map.of("mode", "none"));
    assertThat(configuration.describe())
        .anyMatch(line -> line.startsWith("Inference log: logger-sink=kafka"))
        .noneMatch(line -> line.contains("SASL_SSL"));
    assertThatThrownBy(() -> resolve(Map.of("logger-kafka", "nonsense"), Map.of()))
        .hasMessageContaining("expected key=value;key=value");
  }

  @Test
  void everyComponent_getsItsSettings() {
    ServerConfig config =
        new ConfigurationReader(
                resolve(
                    Map.ofEntries(
                        Map.entry("model", List.of("m")),
                        Map.entry("host", "127.0.0.1"),
                        Map.entry("http-port", "1"),
                        Map.entry("grpc-port", "none"),
                        Map.entry("max-header-size", "16KB"),
                        Map.entry("grpc-max-message-size", "1MB"),
                        Map.entry("grpc-reflection", "false"),
                        Map.entry("drain-delay", "3s"),
                        Map.entry("grace-period", "4s"),
                        Map.entry("processors", "3"),
                        Map.entry("version-policy", "1, 3"),
                        Map.entry("model-wait", "1m")),
                    Map.of()))
            .server();

    assertThat(config.transport().host()).isEqualTo("127.0.0.1");
    assertThat(config.transport().port()).isEqualTo(1);
    assertThat(config.transport().grpcPort()).isEqualTo(TransportConfig.NONE);
    assertThat(config.http().maxHeaderSize()).isEqualTo(16 << 10);
    assertThat(config.grpc().maxMetadataSize()).isEqualTo(16 << 10);
    assertThat(config.grpc().maxMessageSize()).isEqualTo(1 << 20);
    assertThat(config.grpc().reflection()).isFalse();
    assertThat(config.drainDelay()).isEqualTo(Duration.ofSeconds(3));
    assertThat(config.gracePeriod()).isEqualTo(Duration.ofSeconds(4));
    assertThat(config.ioThreads()).isEqualTo(3);
    assertThat(config.runtime().processors()).isEqualTo(3);
    assertThat(config.runtime().modelWait()).isEqualTo(Duration.ofMinutes(1));
    assertThat(config.runtime().options().versionPolicy())
        .contains(new VersionPolicy.Specific(List.of("1", "3")));
  }

  @Test
  void calibrationCache_isWhereCachesAre_unlessTheUserSaysOtherwise() {
    Map<String, String> variables = Map.of("HOME", "/h", "XDG_CACHE_HOME", "/c");
    assertThat(calibrationCache(Map.of("HOME", "/h"), List.of()))
        .contains(Path.of("/h/.cache/millrace"));
    assertThat(calibrationCache(variables, List.of())).contains(Path.of("/c/millrace"));
    assertThat(calibrationCache(variables, List.of("none"))).isEmpty();
    assertThat(calibrationCache(variables, List.of("/d"))).contains(Path.of("/d"));
    assertThat(calibrationCache(Map.of(), List.of())).isEmpty();
  }

  private static Optional<Path> calibrationCache(Map<String, String> variables, List<String> flag) {
    Map<String, Object> flags = new HashMap<>(Map.of("model", List.of("m")));
    flag.forEach(value -> flags.put("calibration-cache", value));
    return new ConfigurationReader(resolve(flags, variables)).runtime().calibrationCache();
  }

  @Test
  void optionsOfBatching_reachTheRuntime() {
    ModelOptions options =
        new ConfigurationReader(
                resolve(
                    Map.of(
                        "model", List.of("m"),
                        "batching", "on",
                        "batch-policy", "fixed",
                        "latency-target", "20ms",
                        "max-queue-delay", "1ms",
                        "batch-sizes", "1,4",
                        "device-share", "2",
                        "calibration-time", "5s"),
                    Map.of()))
            .runtime()
            .options();
    assertThat(options.calibrationTime()).contains(Duration.ofSeconds(5));
    assertThat(options.batching())
        .isEqualTo(
            new BatchingOptions(
                Optional.of(BatchingOptions.Mode.ON),
                Optional.of(BatchingOptions.Policy.FIXED),
                Optional.of(Duration.ofMillis(20)),
                Optional.of(Duration.ofMillis(1)),
                Optional.of(List.of(1, 4)),
                Optional.of(2),
                Optional.empty(),
                List.of(),
                Optional.empty()));
  }

  @Test
  void drainDelay_dependsOnThePlatform() {
    assertThat(drainDelay(Map.of())).isEqualTo(Duration.ZERO);
    assertThat(drainDelay(Map.of("KUBERNETES_SERVICE_HOST", "10.0.0.1")))
        .isEqualTo(Duration.ofSeconds(5));
    assertThat(drainDelay(Map.of("KUBERNETES_SERVICE_HOST", "10.0.0.1", "K_REVISION", "r")))
        .isEqualTo(Duration.ZERO);
    assertThat(
            drainDelay(Map.of("KUBERNETES_SERVICE_HOST", "10.0.0.1", "MILLRACE_DRAIN_DELAY", "1s")))
        .isEqualTo(Duration.ofSeconds(1));
  }

  @Test
  void clouds_sayWhereTheyAsk() {
    ServerConfig none =
        new ConfigurationReader(resolve(Map.of("model", List.of("m")), Map.of())).server();
    assertThat(none.cloud()).isEqualTo(CloudConfig.none());
    assertThat(none.sharedMemory()).isFalse();

    ServerConfig vertex =
        new ConfigurationReader(
                resolve(
                    Map.of("model", List.of("m"), "system-shared-memory", "true"),
                    Map.of(
                        "AIP_HTTP_PORT", "9000",
                        "AIP_HEALTH_ROUTE", "/health",
                        "AIP_PREDICT_ROUTE", "/v1/endpoints/1:predict",
                        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME", "simple")))
            .server();

    assertThat(vertex.transport().port()).isEqualTo(9000);
    assertThat(vertex.sharedMemory()).isTrue();
    assertThat(vertex.cloud())
        .isEqualTo(
            new CloudConfig(
                Optional.of("simple"),
                Optional.of("/health"),
                Optional.of("/v1/endpoints/1:predict")));
  }

  @Test
  void kservesPrefixOfOpenAisPaths_isTakenOver_alsoAnEmptyOne() {
    assertThat(openAiPrefix(Map.of())).isEqualTo("/openai");
    assertThat(openAiPrefix(Map.of("KSERVE_OPENAI_ROUTE_PREFIX", "/llm/"))).isEqualTo("/llm");
    assertThat(openAiPrefix(Map.of("KSERVE_OPENAI_ROUTE_PREFIX", "llm"))).isEqualTo("/llm");
    assertThat(openAiPrefix(Map.of("KSERVE_OPENAI_ROUTE_PREFIX", ""))).isEmpty();
    assertThat(openAiPrefix(Map.of("KSERVE_OPENAI_ROUTE_PREFIX", "<no value>")))
        .isEqualTo("/openai");
    assertThat(
            openAiPrefix(
                Map.of("KSERVE_OPENAI_ROUTE_PREFIX", "/llm", "MILLRACE_OPENAI_PREFIX", "/other")))
        .isEqualTo("/other");
  }

  private static String openAiPrefix(Map<String, String> variables) {
    return new ConfigurationReader(resolve(Map.of("model", List.of("m")), variables))
        .server()
        .llm()
        .prefix();
  }

  private static Duration drainDelay(Map<String, String> variables) {
    return new ConfigurationReader(resolve(Map.of("model", List.of("m")), variables))
        .server()
        .drainDelay();
  }
}
