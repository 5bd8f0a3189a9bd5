package dev.millrace.backend.llm;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.UpstreamPolicy;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Serves models that engines answer for, elsewhere or started here: the section {@code llm} of a
 * model.yaml, or what Hopsworks deploys for vLLM without a script, which is a model's files and a
 * YAML file with the engine's options.
 */
public final class LlmBackend implements Backend {
  private static final String FILE = "model.yaml";

  private final Map<String, String> environment;

  /** A new backend; the service loader calls it. */
  public LlmBackend() {
    this(System.getenv());
  }

  LlmBackend(Map<String, String> environment) {
    this.environment = Map.copyOf(environment);
  }

  @Override
  public String name() {
    return "llm";
  }

  @Override
  public String modelFiles() {
    return "model.yaml with a section llm";
  }

  /** The file that has the section, or the directory of a deployment. */
  @Override
  public Optional<Path> findModel(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
    return Optional.of(file)
        .filter(LlmBackend::hasSection)
        .or(() -> Optional.of(path).filter(this::isDeployed));
  }

  private boolean isDeployed(Path directory) {
    return Deployment.of(environment)
        .filter(deployment -> deployment.isForEngine() && deployment.isAbout(directory))
        .isPresent();
  }

  /**
   * Whoever writes the section means it, whatever else is in the directory. A deployment without it
   * is for an engine if its files are as Hugging Face has them, or if nobody else wants them.
   */
  @Override
  public int precedence(Path model) {
    boolean isMeant = !Files.isDirectory(model) || Files.exists(model.resolve("config.json"));
    return isMeant ? 2 : -2;
  }

  private static boolean hasSection(Path file) {
    if (!file.endsWith(FILE) || !Files.isRegularFile(file)) {
      return false;
    }
    try (Stream<String> lines = Files.lines(file)) {
      return lines.anyMatch(line -> line.startsWith("llm:"));
    } catch (IOException | UncheckedIOException e) { // whoever reads it as YAML says what is wrong
      return false;
    }
  }

  @Override
  public Servable load(ModelSource source) {
    LlmSettings settings = LlmSettings.read(source.settings());
    Path path = source.path().toAbsolutePath();
    boolean isDirectory = Files.isDirectory(path);
    if (settings.launch().isPresent() || (isDirectory && settings.upstreams().isEmpty())) {
      Path directory = isDirectory ? path : parent(path);
      return launched(source, settings, directory);
    }
    if (settings.upstreams().isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "%s: llm.upstreams: expected at least one address, as in http://localhost:8000, or a section llm.launch"
              .formatted(source.settings().source()));
    }
    return new RemoteModel(metadata(source, Map.of()), settings.policy(), settings.upstreams());
  }

  private Servable launched(ModelSource source, LlmSettings settings, Path directory) {
    LaunchSettings launch = settings.launch().orElseGet(LaunchSettings::defaults);
    EngineCommand command = EngineCommand.of(launch, source.id(), directory, environment);
    return EngineModel.start(
        metadata(source, Map.of("engine", launch.command().getFirst())),
        withAdapters(settings.policy(), command.adapters()),
        launch,
        command);
  }

  private static Path parent(Path file) {
    Path parent = file.getParent();
    return parent == null ? file : parent;
  }

  private static ModelMetadata metadata(ModelSource source, Map<String, String> properties) {
    return new ModelMetadata(source.id(), "llm", List.of(), List.of(), 0, properties);
  }

  /** The policy, with the adapters that the engine is started with. */
  private static UpstreamPolicy withAdapters(UpstreamPolicy policy, List<String> adapters) {
    Set<String> all = new LinkedHashSet<>(policy.adapters());
    all.addAll(adapters);
    return new UpstreamPolicy(
        policy.balancing(),
        policy.times(),
        policy.limits(),
        policy.watch(),
        policy.aliases(),
        List.copyOf(all),
        policy.fallback(),
        policy.retries(),
        policy.retryOn(),
        policy.forwardsAuthorization(),
        policy.countsUsage());
  }
}
