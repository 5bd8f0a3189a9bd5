package dev.millrace.server;

import dev.millrace.api.Settings;
import dev.millrace.runtime.ModelPath;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Reads where models are: a path, or a list of paths or of {@code path} and {@code name}. */
final class ModelPlaces {
  private ModelPlaces() {}

  static ValueType<List<ModelPath>> type() {
    return new ValueType<>(
        "path",
        "path, or a list",
        ModelPlaces::read,
        places ->
            places.stream()
                .map(place -> place.name().map(name -> name + "=").orElse("") + place.path())
                .collect(Collectors.joining(",")));
  }

  private static Optional<List<ModelPath>> read(Settings settings, String key) {
    if (settings.value(key).isEmpty()) {
      return Optional.empty();
    }
    List<ModelPath> places = new ArrayList<>();
    for (Object item : settings.list(key)) {
      if (item instanceof Map<?, ?> map) {
        Settings place =
            Settings.of(settings.source(), Map.of(key, List.of(map))).sections(key).getFirst();
        String text =
            place.string("path").orElseThrow(() -> settings.bad(key, map, "a path in each"));
        places.add(new ModelPath(path(settings, key, text), place.string("name")));
        place.rejectUnknown();
      } else {
        places.add(ModelPath.of(path(settings, key, String.valueOf(item))));
      }
    }
    return Optional.of(places);
  }

  private static Path path(Settings settings, String key, String text) {
    try {
      if (text.isBlank()) {
        throw settings.bad(key, text, "a path");
      }
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw settings.bad(key, text, "a path");
    }
  }
}
