package dev.millrace.runtime;

import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Triton's names of engines. */
final class TritonBackends {
  /** By platform, which is the older way to say it, and by backend. */
  private static final Map<String, String> NAMES =
      Map.of(
          "onnxruntime_onnx", "onnx",
          "onnxruntime", "onnx",
          "tensorflow_savedmodel", "tensorflow",
          "tensorflow", "tensorflow",
          "pytorch_libtorch", "pytorch",
          "pytorch", "pytorch",
          "python", "python");

  private TritonBackends() {}

  /** The name here of what is called {@code name} there; the same if it is not known. */
  static String translate(String name) {
    return NAMES.getOrDefault(name, name);
  }

  /** The backend that is meant, if it can be one of {@code installed} or of those known. */
  static Optional<String> find(String name, Collection<String> installed) {
    return Optional.of(translate(name))
        .filter(backend -> installed.contains(backend) || NAMES.containsKey(name));
  }

  /** What can be written for an engine that is installed. */
  static Set<String> namesOf(Collection<String> installed) {
    Set<String> names = new LinkedHashSet<>();
    NAMES.entrySet().stream()
        .filter(entry -> installed.contains(entry.getValue()))
        .map(Map.Entry::getKey)
        .sorted()
        .forEach(names::add);
    names.addAll(installed);
    return names;
  }
}
