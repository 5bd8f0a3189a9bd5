package dev.millrace.backend.python;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Servable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Runs scripts with a class {@code Predictor}, as Hopsworks and KServe know them, and pickled
 * models of scikit-learn, in processes beside the server.
 *
 * <p>{@link ModelSource#instances()} is the number of calls at the same time. Each process answers
 * as many of them as the setting {@code concurrency} says, which is one unless it is set: so there
 * are as many processes as instances.
 *
 * <p>A script does not say what it takes. Unless the configuration declares {@code inputs}, the
 * metadata list none: rows of V1 reach it as they are, tensors of V2 as rows. Requests are merged
 * if the configuration gives a {@code max-batch-size}; then the script gets the rows of several
 * requests as one list, and has to give a result for each.
 *
 * <p>A script whose class has a {@code vllm_engine} or a method {@code create_completion} is a
 * language model, a {@link dev.millrace.api.spi.TextGenerator}: one process answers all its
 * requests.
 */
public final class PythonBackend implements Backend {
  private final ScriptFiles files;

  /** A new backend; the service loader calls it. */
  public PythonBackend() {
    this(ScriptFiles.ofThisProcess());
  }

  PythonBackend(ScriptFiles files) {
    this.files = files;
  }

  @Override
  public String name() {
    return "python";
  }

  @Override
  public String modelFiles() {
    return "predictor*.py, predictor*.ipynb, *.joblib, *.pkl, *.pickle";
  }

  @Override
  public boolean takesDeclarations() {
    return true;
  }

  @Override
  public Optional<Path> findModel(Path path) {
    return files.predictor(path);
  }

  /** A script says that it is what serves; a pickle may be a part of another engine's model. */
  @Override
  public int precedence(Path model) {
    String name = ScriptFiles.name(model);
    return ScriptFiles.isScript(model) && name.startsWith("predict") ? 1 : -1;
  }

  @Override
  public List<Device> devices() {
    return List.of(Device.CPU);
  }

  @Override
  public GpuSupport gpuSupport() {
    return new GpuSupport.None("a script chooses its own device; leave 'device' out");
  }

  @Override
  public Servable load(ModelSource source) {
    PythonSettings settings = PythonSettings.read(source.settings(), true);
    if (source.device().kind() != Device.Kind.CPU) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: a script chooses its own device; 'device' can only be cpu".formatted(source.id()));
    }
    Scripts scripts = scripts(source, settings);
    WorkerPool pool =
        WorkerPool.start(
            scripts.generates()
                ? scripts.generatorSpec(source.threads())
                : scripts.spec(source.instances(), source.threads(), List.of()));
    ModelMetadata metadata = metadata(source, settings, scripts, pool.facts());
    String operations = pool.facts().getOrDefault("generates", "");
    return operations.isEmpty()
        ? new PythonModel(pool, metadata, pool.facts())
        : new PythonGenerator(pool, metadata, operations);
  }

  private Scripts scripts(ModelSource source, PythonSettings settings) {
    Path found = source.path();
    Path directory = Files.isDirectory(found) ? found : parent(found);
    if (files.path("MODEL_FILES_PATH").isPresent()
        && files.predictor(files.path("MODEL_FILES_PATH").get()).equals(Optional.of(found))) {
      directory = files.path("MODEL_FILES_PATH").get();
    } else {
      directory = ScriptFiles.filesOf(found).orElse(directory);
    }
    Path home = directory;
    Path predictor =
        settings.script().map(name -> Scripts.named(home, name, "script")).orElse(found);
    if (Files.isDirectory(predictor)) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s has several scripts or pickled models; name one by 'script' in the section 'python' of its model.yaml"
              .formatted(predictor));
    }
    Path transformer =
        settings
            .transformer()
            .map(name -> Scripts.named(home, name, "transformer"))
            .or(() -> files.transformer(parent(predictor)))
            .orElse(null);
    return new Scripts(source.id(), directory, predictor, transformer, settings, files);
  }

  private static Path parent(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? file.toAbsolutePath() : parent;
  }

  private static ModelMetadata metadata(
      ModelSource source, PythonSettings settings, Scripts scripts, Map<String, String> facts) {
    Map<String, String> properties = new LinkedHashMap<>();
    properties.put("python", facts.getOrDefault("python", ""));
    properties.put("class", facts.getOrDefault("class", ""));
    properties.put("script", ScriptFiles.name(source.path()));
    Path transformer = scripts.transformer();
    if (transformer != null) {
      properties.put("transformer", ScriptFiles.name(transformer));
    }
    return new ModelMetadata(
        source.id(), "python", settings.inputs(), settings.outputs(), 0, properties);
  }
}
