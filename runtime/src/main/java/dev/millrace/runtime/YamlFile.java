package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.events.CollectionEndEvent;
import org.snakeyaml.engine.v2.events.CollectionStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * Reads settings from YAML: one document, a map with texts as keys, of bounded length, depth and
 * number of aliases, without repeated keys and without tags that make objects.
 */
public final class YamlFile {
  private static final int MAX_LENGTH = 1 << 20;
  private static final int MAX_DEPTH = 50;

  private YamlFile() {}

  /**
   * The settings in a file; empty ones if the file is.
   *
   * @throws InferenceException INVALID_ARGUMENT that names the file and the line
   */
  public static Settings read(Path file) {
    return Settings.of(file.toString(), values(file));
  }

  private static String reason(IOException failure) {
    return switch (failure) {
      case NoSuchFileException _ -> "it does not exist";
      case AccessDeniedException _ -> "permission denied";
      case CharacterCodingException _ -> "it is not text in UTF-8";
      default -> String.valueOf(failure.getMessage());
    };
  }

  /** The keys and values in a file. */
  static Map<String, Object> values(Path file) {
    String text;
    try {
      if (Files.size(file) > MAX_LENGTH) {
        throw bad(file, "the file is longer than %d bytes".formatted(MAX_LENGTH), null);
      }
      text = Files.readString(file);
    } catch (IOException e) {
      throw bad(file, "cannot be read: " + reason(e), e);
    }
    LoadSettings settings =
        LoadSettings.builder()
            .setLabel(file.toString())
            .setCodePointLimit(MAX_LENGTH)
            .setMaxAliasesForCollections(50)
            .setAllowDuplicateKeys(false)
            .setAllowRecursiveKeys(false)
            .setAllowNonScalarKeys(false)
            .build();
    Object root;
    try {
      checkDepth(file, text, settings);
      root = new Load(settings).loadFromString(text);
    } catch (MarkedYamlEngineException e) {
      throw bad(
          file,
          e.getProblemMark()
                  .map(mark ->
                      "line %d, column %d: ".formatted(mark.getLine() + 1, mark.getColumn() + 1))
                  .orElse("")
              + e.getProblem(),
          e);
    } catch (YamlEngineException e) {
      throw bad(file, String.valueOf(e.getMessage()), e);
    }
    if (root == null) {
      return Map.of();
    }
    if (!(root instanceof Map<?, ?> map)) {
      throw bad(file, "expected keys and values, as in 'max-batch-size: 8'", null);
    }
    Map<String, Object> values = new LinkedHashMap<>();
    map.forEach((key, value) -> values.put(String.valueOf(key), value));
    return values;
  }

  /** The reader calls itself for each level, so the depth is bounded before it runs. */
  private static void checkDepth(Path file, String text, LoadSettings settings) {
    int depth = 0;
    for (Event event : new Parse(settings).parseString(text)) {
      if (event instanceof CollectionStartEvent && ++depth > MAX_DEPTH) {
        throw bad(file, "nested deeper than %d levels".formatted(MAX_DEPTH), null);
      } else if (event instanceof CollectionEndEvent) {
        depth--;
      }
    }
  }

  private static InferenceException bad(Path file, String problem, @Nullable Throwable cause) {
    return new InferenceException(ErrorCode.INVALID_ARGUMENT, file + ": " + problem, cause);
  }
}
