package dev.millrace.api.spi;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What a transformer is made from.
 *
 * @param model name and version of the model that it stands around
 * @param directories where the model's files are: the version's own, then the model's
 * @param settings the step's own section of the model's configuration
 */
public record TransformerSource(ModelId model, List<Path> directories, Settings settings) {
  public TransformerSource {
    requireNonNull(model, "model is null");
    directories = List.copyOf(directories);
    requireNonNull(settings, "settings is null");
  }

  /**
   * The file that the settings name under {@code key}, or one called {@code usual}: an absolute
   * path, or one below the first of the {@link #directories} that has it.
   *
   * @throws InferenceException FAILED_PRECONDITION if there is no such file
   */
  public Path file(String key, String usual) {
    String name = settings.string(key).orElse(usual);
    for (Path directory : directories) {
      Path file = directory.resolve(name);
      if (Files.isRegularFile(file)) {
        return file;
      }
    }
    throw new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s: %s: there is no file '%s' in %s".formatted(settings.source(), key, name, directories));
  }
}
