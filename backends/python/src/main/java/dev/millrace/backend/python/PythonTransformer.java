package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A script with a class {@code Transformer} around a model of any engine, in processes of its own.
 *
 * <p>{@code preprocess} gets the rows of the request in a body, as the front end of V1 found them
 * or made from tensors; what it returns becomes the inputs that the model declares, or JSON texts
 * if it declares none. {@code postprocess} gets the outputs as rows. What clients may send is for
 * the script to say, so to them the model declares nothing.
 */
final class PythonTransformer implements Transformer {
  private final Scripts scripts;
  private final int calls;
  private volatile @Nullable WorkerPool pool;

  private PythonTransformer(Scripts scripts, int calls) {
    this.scripts = scripts;
    this.calls = calls;
  }

  /**
   * A transformer whose processes are not started yet.
   *
   * @param directories where the model's files are; the script is the one that the settings name,
   *     else the only {@code transformer*.py} of the first directory that has one
   * @param settings {@code instances}, how many requests it works on at the same time (default: one
   *     for each processor), and those of {@link PythonSettings}
   * @throws InferenceException INVALID_ARGUMENT for settings, FAILED_PRECONDITION if there is no
   *     script
   */
  static PythonTransformer of(ModelId model, List<Path> directories, Settings settings) {
    int calls =
        settings.integer("instances", 1, 1024).orElse(Runtime.getRuntime().availableProcessors());
    PythonSettings read = PythonSettings.read(settings, false);
    ScriptFiles files = ScriptFiles.ofThisProcess();
    for (Path directory : directories) {
      Optional<Path> script =
          read.script().isPresent()
              ? read.script().map(directory::resolve).filter(Files::isRegularFile)
              : files.transformer(directory);
      if (script.isPresent()) {
        return new PythonTransformer(
            new Scripts(model, directory, null, script.get(), read, files), calls);
      }
    }
    throw new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s: there is no script %s in %s"
            .formatted(settings.source(), read.script().orElse("transformer*.py"), directories));
  }

  /**
   * Starts the processes, around a model with these inputs; blocks.
   *
   * @throws InferenceException FAILED_PRECONDITION with the reason if they cannot be
   */
  void start(List<TensorSpec> inner) {
    pool = WorkerPool.start(scripts.spec(calls, 1, inner));
  }

  private WorkerPool pool() {
    WorkerPool started = pool;
    if (started == null) {
      throw new InferenceException(ErrorCode.UNAVAILABLE, "the transformer is not started");
    }
    return started;
  }

  @Override
  public String name() {
    return "python";
  }

  @Override
  public boolean mayBlock() {
    return true;
  }

  @Override
  public InferenceRequest preprocess(InferenceRequest request) {
    TensorMap made = pool().call(Verb.PREPROCESS, request.inputs(), request.parameters());
    InferenceRequest next = request.withInputs(made);
    request.close();
    return next;
  }

  @Override
  public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
    TensorMap made = pool().call(Verb.POSTPROCESS, response.outputs(), request.parameters());
    InferenceResponse next = response.withOutputs(made);
    response.close();
    return next;
  }

  @Override
  public void close() {
    WorkerPool started = pool;
    if (started != null) {
      started.close();
    }
  }
}
