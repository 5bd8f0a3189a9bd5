package dev.millrace.server.llm;

import dev.millrace.server.json.JsonSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * What an engine lists under {@code /v1/models}. vLLM has its LoRA adapters there too, with the
 * model that they belong to as {@code parent}; all names of a model have the same {@code root}.
 *
 * @param models in the engine's order
 */
record EngineModels(List<Listed> models) {
  /**
   * One entry.
   *
   * @param root what the model is made of; its name if the engine does not say
   * @param parent the model whose adapter it is; null if it is none
   */
  record Listed(String id, String root, @Nullable String parent) {}

  EngineModels {
    models = List.copyOf(models);
  }

  /** Reads the answer of an engine; what is not understood is not listed. */
  static EngineModels parse(String text) {
    List<Listed> models = new ArrayList<>();
    try (JsonParser parser = JsonSource.of(text)) {
      if (parser.nextToken() == JsonToken.START_OBJECT) {
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
          boolean isData = parser.currentName().equals("data");
          if (parser.nextToken() == JsonToken.START_ARRAY && isData) {
            while (parser.nextToken() == JsonToken.START_OBJECT) {
              Map<String, String> texts = texts(parser);
              String id = texts.get("id");
              if (id != null) {
                models.add(new Listed(id, texts.getOrDefault("root", id), texts.get("parent")));
              }
            }
          } else {
            parser.skipChildren();
          }
        }
      }
    } catch (JacksonException e) {
      return new EngineModels(List.of());
    }
    return new EngineModels(models);
  }

  /** The members of an object that are texts. */
  private static Map<String, String> texts(JsonParser parser) {
    Map<String, String> texts = new HashMap<>();
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      String name = parser.currentName();
      if (parser.nextToken() == JsonToken.VALUE_STRING) {
        texts.put(name, parser.getString());
      } else {
        parser.skipChildren();
      }
    }
    return texts;
  }

  /**
   * The names of a model's adapters.
   *
   * @param model what the model is called at the engine; if it is not listed under that name, it is
   *     the only one that is listed
   */
  Set<String> adaptersOf(String model) {
    List<Listed> bases = models.stream().filter(each -> each.parent() == null).toList();
    Set<String> roots =
        bases.stream()
            .filter(each -> each.id().equals(model))
            .map(Listed::root)
            .collect(Collectors.toSet());
    if (roots.isEmpty() && bases.stream().map(Listed::root).distinct().count() == 1) {
      roots = Set.of(bases.getFirst().root());
    }
    Set<String> ours = roots;
    Set<String> names =
        bases.stream()
            .filter(each -> ours.contains(each.root()))
            .map(Listed::id)
            .collect(Collectors.toSet());
    return models.stream()
        .filter(each -> each.parent() != null && names.contains(each.parent()))
        .map(Listed::id)
        .collect(Collectors.toSet());
  }
}
