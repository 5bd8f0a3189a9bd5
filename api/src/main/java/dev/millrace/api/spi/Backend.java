package dev.millrace.api.spi;

import dev.millrace.api.Device;
import dev.millrace.api.InferenceException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * The plug-in for one engine, found by {@link java.util.ServiceLoader}. Lives as long as the
 * process.
 *
 * <p>Methods may be called from any thread, and by several at once; they may block.
 */
public interface Backend {
  /** The engine's name in configurations, as in {@code onnx}; also the key of its own settings. */
  String name();

  /** What {@link #findModel} looks for, for people: {@code *.onnx}. */
  String modelFiles();

  /**
   * The model in {@code path}, which is a file or a directory, if this engine can load one from it.
   * Looks at names only, and not into sub-directories.
   *
   * @return what goes into {@link ModelSource#path()}; empty if nothing here is for this engine
   * @throws InferenceException FAILED_PRECONDITION if there are several and none is the obvious one
   */
  Optional<Path> findModel(Path path);

  /**
   * How much a model that {@link #findModel} found speaks for this engine when others find one in
   * the same place: the highest wins, and of equal ones the first in the order of the backends'
   * names. 0 for a format of the engine's own.
   *
   * @param model what {@link #findModel} returned
   */
  default int precedence(Path model) {
    return 0;
  }

  /**
   * Whether a model's file may not say what the model takes and gives, so that this backend's own
   * section of the configuration has {@code inputs} and {@code outputs}: lists of {@code name},
   * {@code datatype} and {@code shape}.
   */
  default boolean takesDeclarations() {
    return false;
  }

  /** The devices that this build of the engine can use here, best first; never empty. */
  default List<Device> devices() {
    return List.of(Device.CPU);
  }

  /** Whether this build of the engine can use GPUs; {@link #devices} says which there are. */
  default GpuSupport gpuSupport() {
    return new GpuSupport.None("it does not run models on GPUs");
  }

  /**
   * Loads a model. Blocks until it can run.
   *
   * @return the model, which the caller closes
   * @throws InferenceException with a message that a person can act on: INVALID_ARGUMENT for
   *     settings, FAILED_PRECONDITION for files that are not a model for this engine
   */
  Servable load(ModelSource source);
}
