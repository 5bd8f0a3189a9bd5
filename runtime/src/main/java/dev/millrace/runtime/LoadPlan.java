package dev.millrace.runtime;

import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.TensorModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How one version is to be loaded.
 *
 * @param path what the backend found
 * @param options from all sources, the stronger over the weaker
 * @param labelFiles by output, the file that names its classes, relative to the first of {@code
 *     directories} that has it
 * @param engine the backend's own section
 * @param transformers what stands around the model
 * @param declared what a {@code config.pbtxt} says of the model
 * @param directories of the version and of the model, where files that are named are looked for
 */
record LoadPlan(
    ModelId id,
    Backend backend,
    Path path,
    ModelOptions options,
    Map<String, String> properties,
    Map<String, String> labelFiles,
    Settings engine,
    List<TransformerConfig> transformers,
    Optional<TritonConfig> declared,
    List<Path> directories) {
  /** A plan of a model with no transformers, whose classes have no names. */
  LoadPlan(
      ModelId id,
      Backend backend,
      Path path,
      ModelOptions options,
      Map<String, String> properties,
      Settings engine) {
    this(
        id,
        backend,
        path,
        options,
        properties,
        Map.of(),
        engine,
        List.of(),
        Optional.empty(),
        List.of());
  }

  /**
   * Loads the model, as it is declared; blocks.
   *
   * @throws dev.millrace.api.InferenceException as the backend does, and FAILED_PRECONDITION if a
   *     {@code config.pbtxt} contradicts the model; nothing is left behind
   */
  Servable load(ModelSource source) {
    Servable servable = backend.load(source);
    if (declared.isEmpty() || !(servable instanceof TensorModel model)) {
      return servable;
    }
    try {
      return DeclaredModel.of(model, declared.get());
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }

  /**
   * The names of classes, by output.
   *
   * @throws dev.millrace.api.InferenceException FAILED_PRECONDITION if a file is not there
   */
  Map<String, LabelFile> labels() {
    Map<String, LabelFile> labels = new LinkedHashMap<>();
    labelFiles.forEach((output, name) -> labels.put(output, LabelFile.read(find(name))));
    return labels;
  }

  private Path find(String name) {
    for (Path directory : directories) {
      Path file = directory.resolve(name);
      if (Files.exists(file)) {
        return file;
      }
    }
    return directories.getLast().resolve(name);
  }
}
