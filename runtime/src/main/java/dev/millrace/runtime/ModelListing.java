package dev.millrace.runtime;

import dev.millrace.runtime.FoundModel.FoundVersion;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The files of a model at one moment: their names, sizes, times of change and identities.
 *
 * @param own what is for all versions: the configuration, labels
 * @param versions by version
 */
record ModelListing(List<String> own, Map<String, List<String>> versions) {
  private static final int MAX_DEPTH = 8;

  ModelListing {
    own = List.copyOf(own);
    versions = Map.copyOf(versions);
  }

  /**
   * The files of a model now; of one whose files come and go meanwhile, a listing like no other.
   */
  static ModelListing of(FoundModel model) {
    return switch (model) {
      case FoundModel.Broken(var _, Path path, var _) ->
          new ModelListing(files(path, MAX_DEPTH), Map.of());
      case FoundModel.Loadable loadable -> {
        Map<String, List<String>> versions = new LinkedHashMap<>();
        for (FoundVersion version : loadable.versions()) {
          versions.put(version.version(), files(version.path(), MAX_DEPTH));
        }
        yield new ModelListing(files(loadable.path(), 1), versions);
      }
    };
  }

  private static List<String> files(Path root, int depth) {
    try {
      Path real = root.toRealPath();
      List<String> files = new ArrayList<>();
      try (Stream<Path> found = Files.walk(real, depth, FileVisitOption.FOLLOW_LINKS)) {
        for (Path file : (Iterable<Path>) found.sorted()::iterator) {
          BasicFileAttributes is = Files.readAttributes(file, BasicFileAttributes.class);
          if (is.isRegularFile()) {
            files.add(
                "%s %d %s %s"
                    .formatted(
                        real.relativize(file), is.size(), is.lastModifiedTime(), is.fileKey()));
          }
        }
      }
      return files;
    } catch (IOException | UncheckedIOException e) {
      return List.of(e + " at " + System.nanoTime());
    }
  }

  /** The versions that are the same in both, where what is for all of them is. */
  Set<String> unchangedSince(ModelListing before) {
    if (!own.equals(before.own)) {
      return Set.of();
    }
    Set<String> unchanged = new HashSet<>();
    versions.forEach((version, files) -> {
      if (files.equals(before.versions.get(version))) {
        unchanged.add(version);
      }
    });
    return unchanged;
  }
}
