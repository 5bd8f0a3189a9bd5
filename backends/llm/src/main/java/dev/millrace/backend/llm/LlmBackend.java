package dev.millrace.backend.llm;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Servable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Serves models that engines elsewhere answer for: the section {@code llm} of a model.yaml. */
public final class LlmBackend implements Backend {
  private static final String FILE = "model.yaml";

  /** A new backend; the service loader calls it. */
  public LlmBackend() {}

  @Override
  public String name() {
    return "llm";
  }

  @Override
  public String modelFiles() {
    return "model.yaml with a section llm";
  }

  /** The file that has the section. */
  @Override
  public Optional<Path> findModel(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
    return Optional.of(file).filter(LlmBackend::hasSection);
  }

  /** Whoever writes the section means it, whatever else is in the directory. */
  @Override
  public int precedence(Path model) {
    return 2;
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
    if (settings.upstreams().isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "%s: llm.upstreams: expected at least one address, as in http://localhost:8000"
              .formatted(source.settings().source()));
    }
    return new RemoteModel(
        new ModelMetadata(source.id(), "llm", List.of(), List.of(), 0, Map.of()),
        settings.policy(),
        settings.upstreams());
  }
}
