package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.Backend;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a {@code model.yaml} says: the {@link ModelOptions}, the model's {@code name}, its {@code
 * properties} (free texts that its metadata show), {@code labels} (for an output, the file that
 * names its classes), the {@code transformers} around it, one section for the backend, named as it,
 * and {@code batcher} and {@code dynamic_batching} for what KServe and Triton would be told.
 *
 * @param source the file, for people
 * @param labelFiles by output, the name of the file that names its classes
 * @param sections the backends' sections as they were read
 * @param declared what a {@code config.pbtxt} beside it says that has no place in the others
 */
record ModelConfig(
    String source,
    Optional<String> name,
    ModelOptions options,
    Map<String, String> properties,
    Map<String, String> labelFiles,
    List<TransformerConfig> transformers,
    Map<String, Map<?, ?>> sections,
    Optional<TritonConfig> declared) {
  static final String FILE_NAME = "model.yaml";

  /** The configuration of a model that has no file. */
  static ModelConfig none() {
    return new ModelConfig(
        "no model.yaml",
        Optional.empty(),
        ModelOptions.none(),
        Map.of(),
        Map.of(),
        List.of(),
        Map.of(),
        Optional.empty());
  }

  /**
   * The configuration in a model's directory: what {@code model.yaml} says, and where it says
   * nothing, {@code config.pbtxt}; an empty one if it has neither.
   *
   * @throws InferenceException INVALID_ARGUMENT that names the file, the key and what was expected
   */
  static ModelConfig in(Path directory, Collection<Backend> backends) {
    ModelConfig own = ofVersion(directory, backends);
    Path file = directory.resolve(TritonConfig.FILE_NAME);
    return Files.isRegularFile(file)
        ? own.over(of(TritonConfig.read(file, backends.stream().map(Backend::name).toList())))
        : own;
  }

  /** Whether a directory has a configuration, so that it is meant to be a model's. */
  static boolean isIn(Path directory) {
    return Files.exists(directory.resolve(FILE_NAME))
        || Files.exists(directory.resolve(TritonConfig.FILE_NAME));
  }

  /**
   * The configuration in a version's directory; an empty one if it has no {@code model.yaml}.
   *
   * @throws InferenceException as {@link #in}
   */
  static ModelConfig ofVersion(Path directory, Collection<Backend> backends) {
    Path file = directory.resolve(FILE_NAME);
    return Files.isRegularFile(file) ? read(YamlFile.read(file), backends) : none();
  }

  private static ModelConfig of(TritonConfig config) {
    return new ModelConfig(
        config.source(),
        config.name(),
        config.options(),
        config.parameters(),
        config.labelFiles(),
        List.of(),
        Map.of(),
        Optional.of(config));
  }

  private static ModelConfig read(Settings settings, Collection<Backend> backends) {
    Optional<String> name = settings.string("name");
    ModelOptions options =
        ModelOptions.read(settings)
            .over(PlatformBatching.kserve(settings.section("batcher")))
            .over(PlatformBatching.triton(settings.section("dynamic_batching")));
    Map<String, String> properties = texts(settings.section("properties"));
    Map<String, String> labelFiles = texts(settings.section("labels"));
    List<TransformerConfig> transformers = TransformerConfig.read(settings);
    Map<String, Map<?, ?>> sections = new LinkedHashMap<>();
    for (Backend backend : backends) {
      settings
          .value(backend.name())
          .ifPresent(value -> {
            if (!(value instanceof Map<?, ?> map)) {
              throw settings.bad(backend.name(), value, "a section of keys and values");
            }
            sections.put(backend.name(), map);
          });
    }
    settings.rejectUnknown();
    return new ModelConfig(
        settings.source(),
        name,
        options,
        properties,
        labelFiles,
        transformers,
        sections,
        Optional.empty());
  }

  private static Map<String, String> texts(Settings section) {
    Map<String, String> texts = new LinkedHashMap<>();
    for (String key : section.keys()) {
      section.string(key).ifPresent(value -> texts.put(key, value));
    }
    return texts;
  }

  /**
   * This configuration, and where it says nothing, {@code lower}; a section, and the transformers,
   * count as one.
   */
  ModelConfig over(ModelConfig lower) {
    Map<String, String> mergedProperties = new LinkedHashMap<>(lower.properties);
    mergedProperties.putAll(properties);
    Map<String, String> mergedLabelFiles = new LinkedHashMap<>(lower.labelFiles);
    mergedLabelFiles.putAll(labelFiles);
    return new ModelConfig(
        sections.isEmpty() ? lower.source : source,
        name.or(lower::name),
        options.over(lower.options),
        mergedProperties,
        mergedLabelFiles,
        transformers.isEmpty() ? lower.transformers : transformers,
        sections.isEmpty() ? lower.sections : sections,
        declared.or(lower::declared));
  }

  /**
   * The section of the backend that loads the model.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is a section for another backend
   */
  Settings engine(Backend backend) {
    for (String key : sections.keySet()) {
      if (!key.equals(backend.name())) {
        throw InferenceException.invalidArgument(
            "%s: section '%s' is for another backend than '%s', which loads this model"
                .formatted(source, key, backend.name()));
      }
    }
    Map<Object, Object> section =
        new LinkedHashMap<>(sections.getOrDefault(backend.name(), Map.of()));
    if (backend.takesDeclarations() && declared.isPresent()) {
      declare(section, "inputs", declared.get().inputs());
      declare(section, "outputs", declared.get().outputs());
    }
    return Settings.of(source, Map.of(backend.name(), section)).section(backend.name());
  }

  private static void declare(
      Map<Object, Object> section, String key, List<DeclaredTensor> tensors) {
    if (!tensors.isEmpty()) {
      section.putIfAbsent(key, TritonConfig.section(tensors));
    }
  }

  /** What is declared of the model, but for what the section of its backend says itself. */
  Optional<TritonConfig> declared(Backend backend) {
    Map<?, ?> section = sections.getOrDefault(backend.name(), Map.of());
    return declared.map(config ->
        backend.takesDeclarations()
            ? config.without(section.containsKey("inputs"), section.containsKey("outputs"))
            : config);
  }
}
