package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.spi.Backend;
import dev.millrace.runtime.FoundModel.FoundVersion;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where models are found. A place is one of
 *
 * <ul>
 *   <li>a model file: version 1 of a model named after it, or after its directory if the file is
 *       called {@code model};
 *   <li>a directory with a model's files directly in it: version 1 of a model named after the
 *       directory;
 *   <li>a directory with numbered directories, each with a model's files: versions of one model;
 *   <li>a directory of such directories: a repository.
 * </ul>
 *
 * <p>Where Hopsworks' registry has a model's files, in {@code <name>/<version>/Files} beside {@code
 * Artifacts}, they are looked for there. A place that is itself a numbered directory is that
 * version, of a model named after the directory that it is in.
 *
 * <p>Symbolic links are followed; names that start with a dot and {@code lost+found} are passed
 * over. A {@code model.yaml} stands beside the files or in the directory of the model; one in a
 * version directory wins over that. Looks at the disk on each call; thread-safe.
 */
final class ModelRepository {
  private static final Logger LOG = LoggerFactory.getLogger(ModelRepository.class);
  private static final Duration POLL_INTERVAL = Duration.ofMillis(200);

  /** Beside {@code Artifacts}, in the directory of a version in Hopsworks' registry. */
  private static final String HOPSWORKS_FILES = "Files";

  private final List<ModelPath> places;
  private final List<Backend> backends;

  ModelRepository(List<ModelPath> places, List<Backend> backends) {
    this.places = List.copyOf(places);
    this.backends = List.copyOf(backends);
  }

  /**
   * Waits for places that do not exist yet, as a KServe modelcar's may not, at most that long.
   *
   * @throws InferenceException UNAVAILABLE if {@code closed} opens meanwhile
   */
  void awaitPlaces(Duration wait, CountDownLatch closed) {
    long start = System.nanoTime();
    for (ModelPath place : places) {
      boolean told = false;
      while (!Files.exists(place.path()) && System.nanoTime() - start < wait.toNanos()) {
        if (!told) {
          LOG.info("waiting for {}", place.path());
          told = true;
        }
        try {
          if (closed.await(POLL_INTERVAL.toNanos(), TimeUnit.NANOSECONDS)) {
            throw ModelRegistry.shuttingDown();
          }
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new InferenceException(
              ErrorCode.CANCELLED, "interrupted while waiting for " + place.path(), e);
        }
      }
    }
  }

  /**
   * Every model of every place, in the order of the places, then by name.
   *
   * @param options what wins over any {@code model.yaml}
   * @throws InferenceException FAILED_PRECONDITION if a place does not exist or holds nothing that
   *     a backend recognises, or two models have one name
   */
  List<FoundModel> findAll(ModelOptions options) {
    Map<String, FoundModel> models = new LinkedHashMap<>();
    for (ModelPath place : places) {
      for (FoundModel model : findAt(place, options)) {
        FoundModel other = models.putIfAbsent(model.name(), model);
        if (other != null) {
          throw precondition(
              "two models are called '%s': %s and %s"
                  .formatted(model.name(), other.path(), model.path()));
        }
      }
    }
    return List.copyOf(models.values());
  }

  /** The model of that name, if it is there now; places that do not exist are passed over. */
  Optional<FoundModel> find(String name, ModelOptions options) {
    for (ModelPath place : places) {
      if (Files.exists(place.path())) {
        for (FoundModel model : modelsAt(place, options)) {
          if (model.name().equals(name)) {
            return Optional.of(model);
          }
        }
      }
    }
    return Optional.empty();
  }

  /**
   * Every model that is there now.
   *
   * @throws InferenceException FAILED_PRECONDITION if a place does not exist or cannot be read
   */
  List<FoundModel> findPresent(ModelOptions options) {
    List<FoundModel> models = new ArrayList<>();
    for (ModelPath place : places) {
      if (!Files.exists(place.path())) {
        throw precondition("%s does not exist".formatted(place.path()));
      }
      models.addAll(modelsAt(place, options));
    }
    return models;
  }

  private List<FoundModel> findAt(ModelPath place, ModelOptions options) {
    Path path = place.path();
    if (!Files.exists(path)) {
      throw precondition("%s does not exist".formatted(path));
    }
    if (backends.isEmpty()) {
      throw precondition("no backend is installed, so no model can be loaded");
    }
    List<FoundModel> models = modelsAt(place, options);
    if (models.isEmpty()) {
      throw nothingRecognised(path);
    }
    if (place.name().isPresent() && !models.getFirst().path().equals(path)) {
      throw precondition(
          "%s is a repository of %d models, which cannot all be called '%s'"
              .formatted(path, models.size(), place.name().get()));
    }
    if (!models.getFirst().path().equals(path)) {
      warnOfOthers(path, models);
    }
    return models;
  }

  /** Tells of directories in a repository that look as if they were meant to be models. */
  private void warnOfOthers(Path repository, List<FoundModel> models) {
    List<Path> found = models.stream().map(FoundModel::path).toList();
    for (Path child : directoriesIn(repository)) {
      if (!found.contains(child)) {
        Unrecognised other = Unrecognised.in(child, backends);
        if (!other.hints().isEmpty()) {
          LOG.warn("not served: {}", other.message());
        }
      }
    }
  }

  private List<FoundModel> modelsAt(ModelPath place, ModelOptions options) {
    Path path = place.path();
    Optional<FoundModel> single =
        Files.isDirectory(path)
            ? inDirectory(path, place.name(), options)
            : Optional.of(ofFile(path, place.name(), options));
    if (single.isPresent()) {
      return List.of(single.get());
    }
    List<FoundModel> models = new ArrayList<>();
    for (Path child : directoriesIn(path)) {
      inDirectory(child, Optional.empty(), options).ifPresent(models::add);
    }
    return models;
  }

  private FoundModel ofFile(Path file, Optional<String> name, ModelOptions options) {
    Path directory = file.toAbsolutePath().getParent();
    String stem = stem(file);
    @Nullable Path own = stem.equals("model") ? directory : null;
    String fallback = name.orElse(own == null ? stem : nameOfModel(own));
    try {
      ModelConfig config =
          directory == null ? ModelConfig.none() : ModelConfig.in(directory, backends);
      return loadable(
          name.or(config::name).orElse(fallback),
          file,
          options,
          config,
          List.of(new FoundVersion(own == null ? "1" : versionOf(own), file)));
    } catch (RuntimeException e) {
      return new FoundModel.Broken(fallback, file, InferenceException.of(e));
    }
  }

  /** The model in {@code directory}; empty if it does not look like the directory of one. */
  private Optional<FoundModel> inDirectory(
      Path directory, Optional<String> name, ModelOptions options) {
    String fallback = name.orElse(nameOfModel(directory));
    try {
      ModelConfig config = ModelConfig.in(directory, backends);
      Optional<String> backend = options.backend().or(config.options()::backend);
      List<FoundVersion> versions;
      if (recognise(directory, backend).isPresent()) {
        versions = List.of(new FoundVersion(versionOf(directory), directory));
      } else {
        versions = versionsIn(directory);
        if (versions.isEmpty()) {
          if (ModelConfig.isIn(directory)) {
            throw nothingRecognised(directory);
          }
          return Optional.empty();
        }
      }
      return Optional.of(
          loadable(name.or(config::name).orElse(fallback), directory, options, config, versions));
    } catch (RuntimeException e) {
      return Optional.of(new FoundModel.Broken(fallback, directory, InferenceException.of(e)));
    }
  }

  private static FoundModel loadable(
      String name,
      Path path,
      ModelOptions options,
      ModelConfig config,
      List<FoundVersion> versions) {
    if (name.isBlank() || name.chars().anyMatch(c -> c == '/' || Character.isISOControl(c))) {
      throw InferenceException.invalidArgument(
          "%s: '%s' is not a name for a model".formatted(path, name));
    }
    VersionPolicy policy =
        options
            .versionPolicy()
            .or(config.options()::versionPolicy)
            .orElse(new VersionPolicy.Latest(1));
    return new FoundModel.Loadable(name, path, options, config, select(path, policy, versions));
  }

  private static List<FoundVersion> select(
      Path path, VersionPolicy policy, List<FoundVersion> versions) {
    return switch (policy) {
      case VersionPolicy.All() -> versions;
      case VersionPolicy.Latest(int count) ->
          versions.subList(Math.max(0, versions.size() - count), versions.size());
      case VersionPolicy.Specific(List<String> wanted) -> {
        List<FoundVersion> selected =
            versions.stream().filter(version -> wanted.contains(version.version())).toList();
        if (selected.size() < wanted.stream().distinct().count()) {
          throw precondition(
              "%s: version-policy asks for %s, found are %s"
                  .formatted(path, wanted, versions.stream().map(FoundVersion::version).toList()));
        }
        yield selected;
      }
    };
  }

  /** The numbered directories; of those with the same number, the one without leading zeros. */
  private static List<FoundVersion> versionsIn(Path directory) {
    Map<String, FoundVersion> versions = new TreeMap<>(Versions.ORDER);
    for (Path child : directoriesIn(directory)) {
      String name = nameOf(child);
      if (Versions.isNumeric(name)) {
        String version = Versions.canonical(name);
        if (name.equals(version) || !versions.containsKey(version)) {
          versions.put(version, new FoundVersion(version, child));
        }
      }
    }
    return List.copyOf(versions.values());
  }

  /**
   * What is to be loaded for one version, and how.
   *
   * @throws InferenceException FAILED_PRECONDITION if no backend recognises its files,
   *     INVALID_ARGUMENT if its configuration is wrong
   */
  LoadPlan plan(FoundModel.Loadable model, FoundVersion version) {
    Path path = version.path();
    ModelConfig config = model.config();
    if (!path.equals(model.path())) {
      ModelConfig own = ModelConfig.ofVersion(path, backends);
      if (own.name().isPresent()
          || own.options().versionPolicy().isPresent()
          || own.options().versionLabels().isPresent()) {
        throw InferenceException.invalidArgument(
            "%s: name, version-policy and version-labels belong in the %s of the model, not of a version"
                .formatted(own.source(), ModelConfig.FILE_NAME));
      }
      config = own.over(config);
    }
    ModelOptions options = model.options().over(config.options());
    Path place =
        config
            .declared()
            .flatMap(TritonConfig::defaultFilename)
            .filter(name -> Files.isDirectory(path))
            .map(path::resolve)
            .orElse(path);
    if (!Files.exists(place)) {
      throw precondition(
          "%s: default_model_filename is '%s', which is not in %s"
              .formatted(config.source(), place.getFileName(), path));
    }
    Recognised found =
        recognise(place, options.backend()).orElseThrow(() -> nothingRecognised(place));
    config
        .declared()
        .filter(declared -> !declared.ignored().isEmpty())
        .ifPresent(declared ->
            LOG.warn(
                "{}: ignored, as they mean nothing here: {}",
                declared.source(),
                String.join(", ", declared.ignored())));
    return new LoadPlan(
        new ModelId(model.name(), version.version()),
        found.backend(),
        found.path(),
        options,
        config.properties(),
        config.labelFiles(),
        config.engine(found.backend()),
        config.transformers(),
        config.declared(found.backend()),
        Stream.of(filesIn(path), path, model.path())
            .map(ModelRepository::directoryOf)
            .distinct()
            .toList());
  }

  private static Path directoryOf(Path path) {
    return Files.isDirectory(path)
        ? path
        : Objects.requireNonNullElse(path.toAbsolutePath().getParent(), path);
  }

  private record Recognised(Backend backend, Path path) {}

  /** The backend, or the one named, that has a model in {@code path}, by precedence and order. */
  private Optional<Recognised> recognise(Path path, Optional<String> name) {
    Optional<Recognised> found = recogniseIn(path, name);
    Path files = filesIn(path);
    return found.isPresent() || files.equals(path) ? found : recogniseIn(files, name);
  }

  private Optional<Recognised> recogniseIn(Path path, Optional<String> name) {
    List<Backend> asked =
        name.isEmpty()
            ? backends
            : backends.stream().filter(backend -> backend.name().equals(name.get())).toList();
    if (asked.isEmpty()) {
      throw InferenceException.invalidArgument(
          "%s: there is no backend '%s'; installed are %s"
              .formatted(
                  path,
                  name.orElse(""),
                  backends.stream().map(Backend::name).collect(Collectors.joining(", "))));
    }
    Optional<Recognised> best = Optional.empty();
    int highest = Integer.MIN_VALUE;
    @Nullable InferenceException failure = null;
    for (Backend backend : asked) {
      int precedence = 0;
      Optional<Recognised> found = Optional.empty();
      @Nullable InferenceException own = null;
      try {
        Optional<Path> model = backend.findModel(path);
        if (model.isEmpty()) {
          continue;
        }
        precedence = backend.precedence(model.get());
        found = Optional.of(new Recognised(backend, model.get()));
      } catch (InferenceException e) { // there is something, and it is not clear what
        own = e;
      }
      if (precedence > highest) {
        highest = precedence;
        best = found;
        failure = own;
      }
    }
    if (failure != null) {
      throw failure;
    }
    return best;
  }

  /** The directory that Hopsworks has the model's files in, if there is one; else the path. */
  private static Path filesIn(Path path) {
    Path files = path.resolve(HOPSWORKS_FILES);
    return Files.isDirectory(files) ? files : path;
  }

  /** After the directory, or the one above it if this one is named after a version. */
  private static String nameOfModel(Path directory) {
    Path model = directory.toAbsolutePath().normalize();
    Path parent = model.getParent();
    if (nameOf(model).equals(HOPSWORKS_FILES) && parent != null) {
      model = parent;
      parent = model.getParent();
    }
    return Versions.isNumeric(nameOf(model)) && parent != null && parent.getFileName() != null
        ? nameOf(parent)
        : nameOf(directory);
  }

  /** What a directory of a model's files is named after, or 1. */
  private static String versionOf(Path directory) {
    Path version = directory.toAbsolutePath().normalize();
    Path parent = version.getParent();
    if (nameOf(version).equals(HOPSWORKS_FILES) && parent != null) {
      version = parent;
    }
    String name = nameOf(version);
    return Versions.isNumeric(name) ? Versions.canonical(name) : "1";
  }

  private InferenceException nothingRecognised(Path path) {
    return precondition(Unrecognised.in(path, backends).message());
  }

  private static List<Path> directoriesIn(Path directory) {
    List<Path> directories = new ArrayList<>();
    try (DirectoryStream<Path> children = Files.newDirectoryStream(directory)) {
      for (Path child : children) {
        String name = nameOf(child);
        if (!name.startsWith(".") && !name.equals("lost+found") && Files.isDirectory(child)) {
          directories.add(child);
        }
      }
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "%s cannot be read: %s".formatted(directory, e), e);
    }
    directories.sort(null);
    return directories;
  }

  private static String nameOf(Path path) {
    Path name = path.toAbsolutePath().normalize().getFileName();
    return name == null ? "model" : name.toString();
  }

  private static String stem(Path file) {
    String name = nameOf(file);
    int dot = name.lastIndexOf('.');
    return dot > 0 ? name.substring(0, dot) : name;
  }

  private static InferenceException precondition(String message) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, message);
  }
}
