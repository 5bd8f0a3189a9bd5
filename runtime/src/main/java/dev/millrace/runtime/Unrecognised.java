package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Backend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Says of a place in which nothing was recognised what is there, and what could be done. */
final class Unrecognised {
  private static final int MAX_DEPTH = 4;
  private static final int MOST_LOOKED_AT = 200;
  private static final int MOST_SHOWN = 8;
  private static final int MOST_HINTS = 3;

  /** By the end of a file's name, what it is and what to do with it. */
  private static final Map<String, String> KINDS =
      Map.ofEntries(
          Map.entry(
              ".keras", "a Keras model: export it as a SavedModel by model.export(DIRECTORY)"),
          Map.entry(
              ".h5",
              "a Keras model or its weights: export it as a SavedModel by model.export(DIRECTORY)"),
          Map.entry(
              ".safetensors",
              "weights without a model: export it to ONNX, or load it in a predictor.py"),
          Map.entry(
              ".bin", "weights without a model: export it to ONNX, or load it in a predictor.py"),
          Map.entry(
              ".ckpt",
              "a checkpoint, weights without a model: export that to ONNX, SavedModel or TorchScript"),
          Map.entry(".tflite", "a TensorFlow Lite model: export the original as a SavedModel"),
          Map.entry(
              ".gguf", "a model for llama.cpp, which is served by an engine for language models"),
          Map.entry(".plan", "a TensorRT plan: serve the ONNX model that it was made from"),
          Map.entry(".engine", "a TensorRT plan: serve the ONNX model that it was made from"),
          Map.entry(".pt2", "a program of torch.export: save TorchScript by torch.jit.save"),
          Map.entry(".mar", "an archive of TorchServe: take the TorchScript file out of it"),
          Map.entry(".pmml", "a PMML model: convert it to ONNX"),
          Map.entry(".zip", "an archive: unpack it"),
          Map.entry(".tar", "an archive: unpack it"),
          Map.entry(".tgz", "an archive: unpack it"),
          Map.entry(".gz", "an archive: unpack it"));

  /** By the end of a file's name, the backend that would recognise it. */
  private static final Map<String, String> BACKENDS =
      Map.of(
          ".onnx", "onnx",
          ".pt", "pytorch",
          ".pth", "pytorch",
          ".torchscript", "pytorch",
          ".joblib", "python",
          ".pkl", "python",
          ".pickle", "python");

  private final Path path;
  private final List<Backend> backends;
  private final List<Path> found = new ArrayList<>();
  private final List<Path> directories = new ArrayList<>();

  private Unrecognised(Path path, List<Backend> backends) {
    this.path = path;
    this.backends = backends;
  }

  /** Of a file or directory. */
  static Unrecognised in(Path path, List<Backend> backends) {
    Unrecognised unrecognised = new Unrecognised(path, backends);
    unrecognised.look();
    return unrecognised;
  }

  private void look() {
    if (!Files.isDirectory(path)) {
      found.add(path);
      return;
    }
    try (Stream<Path> paths = Files.walk(path.toRealPath(), MAX_DEPTH)) {
      paths
          .filter(each -> !isHidden(each))
          .limit(MOST_LOOKED_AT)
          .sorted()
          .forEach(each -> (Files.isDirectory(each) ? directories : found).add(each));
    } catch (IOException | UncheckedIOException e) {
      // What could be seen is told.
    }
  }

  private static boolean isHidden(Path each) {
    return name(each).startsWith(".");
  }

  /** As in {@code a holds no model: looked for …; found …; hints}. */
  String message() {
    return "%s holds no model: looked for %s%s; found %s%s"
        .formatted(
            path,
            backends.stream()
                .map(backend -> "%s (%s)".formatted(backend.modelFiles(), backend.name()))
                .collect(Collectors.joining(", ")),
            Files.isDirectory(path)
                ? " in it, in its version directories and in its sub-directories"
                : "",
            contents(),
            hints().stream().map(hint -> "; " + hint).collect(Collectors.joining()));
  }

  private String contents() {
    if (found.isEmpty()) {
      return directories.size() > 1 ? "directories without files" : "nothing";
    }
    String shown =
        found.stream().limit(MOST_SHOWN).map(this::relative).collect(Collectors.joining(", "));
    return found.size() > MOST_SHOWN
        ? "%s and %d more".formatted(shown, found.size() - MOST_SHOWN)
        : shown;
  }

  /** What could be done, the likeliest first; empty if nothing is known of what is there. */
  List<String> hints() {
    Set<String> hints = new LinkedHashSet<>();
    // The first directory is the place itself.
    List<Path> models = directories.stream().skip(1).filter(this::hasModel).toList();
    models.stream()
        .map(each -> Versions.isNumeric(name(each)) ? each.getParent() : each)
        .filter(each -> !each.equals(directories.getFirst()))
        .findFirst()
        .ifPresent(each ->
            hints.add(
                "%s is the directory of a model: serve it, or the one that it is in"
                    .formatted(relative(each))));
    for (Path directory : directories) {
      savedModel(directory, hints);
    }
    for (Path file : found) {
      if (!models.contains(file.getParent())) {
        hint(file, hints);
      }
    }
    return hints.stream().limit(MOST_HINTS).toList();
  }

  private boolean hasModel(Path directory) {
    try {
      return backends.stream().anyMatch(backend -> backend.findModel(directory).isPresent());
    } catch (InferenceException e) { // there are several
      return true;
    }
  }

  /** A SavedModel of which a part is missing. */
  private void savedModel(Path directory, Set<String> hints) {
    boolean variables = name(directory).equals("variables");
    Path parent = directory.getParent();
    if (variables && parent != null && found.stream().noneMatch(file -> isGraphIn(parent, file))) {
      hints.add(
          "%s is a part of a SavedModel, whose saved_model.pb is missing"
              .formatted(relative(directory)));
    }
  }

  private static boolean isGraphIn(Path directory, Path file) {
    return directory.equals(file.getParent()) && name(file).endsWith(".pb");
  }

  private void hint(Path file, Set<String> hints) {
    String name = name(file).toLowerCase(Locale.ROOT);
    String end = name.substring(Math.max(0, name.lastIndexOf('.')));
    String kind = KINDS.get(end);
    String backend = name.equals("saved_model.pb") ? "tensorflow" : BACKENDS.get(end);
    if (kind != null) {
      hints.add("%s is %s".formatted(relative(file), kind));
    } else if (backend != null && backends.stream().noneMatch(b -> b.name().equals(backend))) {
      hints.add(
          "%s is for the backend '%s', which is not installed".formatted(relative(file), backend));
    } else if (end.equals(".pb") && backend == null) {
      hints.add(
          "%s is not called saved_model.pb, or has no variables/ beside it"
              .formatted(relative(file)));
    } else if (end.equals(".py") && name.startsWith("model")) {
      hints.add(
          "%s may be a script for Triton: one for this server is predictor.py, with a class Predictor"
              .formatted(relative(file)));
    } else if (end.equals(".py") || end.equals(".ipynb")) {
      hints.add(
          "%s is a script, and those are recognised by the name predictor*.py"
              .formatted(relative(file)));
    }
  }

  private String relative(Path each) {
    try {
      Path root = path.toRealPath();
      return each.startsWith(root) && !each.equals(root)
          ? root.relativize(each).toString()
          : name(each);
    } catch (IOException e) {
      return name(each);
    }
  }

  private static String name(Path each) {
    return String.valueOf(each.getFileName());
  }
}
