package dev.millrace.api.spi;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import java.nio.file.Path;

/**
 * What a backend loads, and how.
 *
 * @param id name and version under which the model will be served
 * @param path what {@link Backend#findModel} found
 * @param device where it shall run
 * @param instances how many predictors will run at the same time
 * @param threads how many threads one run may use inside the engine
 * @param settings the backend's own section of the model's configuration; the backend refuses
 *     unknown keys by {@link Settings#rejectUnknown}
 */
public record ModelSource(
    ModelId id, Path path, Device device, int instances, int threads, Settings settings) {
  public ModelSource {
    requireNonNull(id, "id is null");
    requireNonNull(path, "path is null");
    requireNonNull(device, "device is null");
    requireNonNull(settings, "settings is null");
    if (instances < 1 || threads < 1) {
      throw new IllegalArgumentException(
          "instances and threads must be positive: %d, %d".formatted(instances, threads));
    }
  }
}
