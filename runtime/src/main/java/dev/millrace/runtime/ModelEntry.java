package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.runtime.ModelVersions.Slot;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * One name in the registry and what is loaded under it. Requests read one volatile snapshot;
 * changes replace it under this object's monitor. Thread-safe.
 */
final class ModelEntry {
  private final String name;
  private final Meters meters;

  /** Held while the model is loaded or unloaded, so that one follows the other. */
  private final ReentrantLock changing = new ReentrantLock();

  /** The versions that have a gauge of their readiness; it stays as long as the server. */
  private final Set<String> measured = new HashSet<>();

  /** What completes when versions that serve no more are freed. Guarded by the monitor. */
  private final List<CompletableFuture<Void>> retiring = new ArrayList<>();

  private volatile ModelVersions versions = ModelVersions.NONE;

  private volatile VersionLabels labels = VersionLabels.NONE;

  /** The versions that the server must serve to be ready. */
  private volatile Set<String> required = Set.of();

  ModelEntry(String name, Meters meters) {
    this.name = name;
    this.meters = meters;
  }

  String name() {
    return name;
  }

  ReentrantLock changing() {
    return changing;
  }

  ModelVersions versions() {
    return versions;
  }

  /** From now on these names stand for versions, and no others. */
  void label(VersionLabels names) {
    labels = names;
  }

  /**
   * The version that a label stands for.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is no such label
   */
  ModelId labelled(String label) {
    String version = labels.versions().get(label);
    if (version == null) {
      throw InferenceException.invalidArgument("Unrecognized servable version label: " + label);
    }
    return new ModelId(name, version);
  }

  /** The server is ready only while these serve; the empty version stands for any. */
  void require(List<String> wanted) {
    required = Set.copyOf(wanted);
  }

  /** Whether all that is required serves. */
  boolean isFit() {
    ModelVersions current = versions;
    for (String version : required) {
      if (current.serving(version) == null) {
        return false;
      }
    }
    return true;
  }

  /** Puts versions into LOADING, except those that serve. */
  synchronized void loading(List<String> wanted) {
    Map<String, Slot> changes = new LinkedHashMap<>();
    for (String version : wanted) {
      if (versions.serving(version) == null) {
        changes.put(version, Slot.loading());
      }
    }
    change(changes);
  }

  /** A version, or the model if it is empty, failed to load; what serves is not touched. */
  synchronized void failed(String version, InferenceException reason) {
    if (versions.serving(version) == null) {
      change(Map.of(version, Slot.unavailable(reason.getMessage())));
    }
  }

  /**
   * Serves these from now on, and nothing else; what served before is retired.
   *
   * @param models that are new
   * @param kept of those that serve
   * @param isComplete whether these are all that were to be loaded
   */
  synchronized void replace(List<LoadedModel> models, List<LoadedModel> kept, boolean isComplete) {
    List<LoadedModel> before = new ArrayList<>(versions.serving());
    before.removeAll(kept);
    if (isComplete && !required.isEmpty()) {
      require(
          Stream.concat(models.stream(), kept.stream())
              .map(model -> model.id().version())
              .toList());
    }
    Map<String, Slot> changes = new LinkedHashMap<>();
    for (LoadedModel model : before) {
      changes.put(model.id().version(), Slot.unloading(model));
    }
    for (LoadedModel model : models) {
      changes.put(model.id().version(), Slot.ready(model));
      model.pipeline().meters().show(model);
    }
    change(changes);
    before.forEach(this::retire);
  }

  /** Frees a version that was loaded and never served. */
  synchronized void discard(LoadedModel model) {
    retire(model);
  }

  /**
   * Stops serving.
   *
   * @return completes when all is freed, what was replaced before too
   */
  synchronized CompletableFuture<Void> unload() {
    required = Set.of();
    labels = VersionLabels.NONE;
    List<LoadedModel> before = versions.serving();
    Map<String, Slot> changes = new LinkedHashMap<>();
    for (LoadedModel model : before) {
      changes.put(model.id().version(), Slot.unloading(model));
    }
    change(changes);
    before.forEach(this::retire);
    return CompletableFuture.allOf(retiring.toArray(CompletableFuture[]::new));
  }

  /** With the monitor held. */
  private void retire(LoadedModel model) {
    retiring.removeIf(CompletableFuture::isDone);
    retiring.add(model.retire().whenComplete((nothing, failure) -> freed(model)));
  }

  private synchronized void freed(LoadedModel model) {
    model.pipeline().meters().hide(model);
    String version = model.id().version();
    Slot slot = versions.slot(version);
    if (slot != null && slot.state() == ModelState.UNLOADING && slot.model() == model) {
      change(Map.of(version, Slot.unavailable(ModelStatus.UNLOADED)));
    }
  }

  /** With the monitor held. */
  private void change(Map<String, Slot> changes) {
    versions = versions.with(changes);
    for (String version : changes.keySet()) {
      if (!version.isEmpty() && measured.add(version)) {
        meters.gauge(
            Metric.MODEL_READY,
            this,
            entry -> entry.versions.serving(version) == null ? 0 : 1,
            name,
            version);
      }
    }
  }

  /**
   * What serves {@code id}, acquired.
   *
   * @throws InferenceException as {@link ModelRegistry#lease}
   */
  LoadedModel acquire(ModelId id) {
    while (true) {
      LoadedModel model = find(id);
      // What is retired was taken out of the snapshot first: looking again finds what came after.
      if (model.acquire()) {
        return model;
      }
      Thread.onSpinWait();
    }
  }

  private LoadedModel find(ModelId id) {
    ModelVersions current = versions;
    LoadedModel model = current.serving(id.version());
    if (model != null) {
      return model;
    }
    String version = canonical(id);
    model = current.serving(version);
    if (model != null) {
      return model;
    }
    throw notServing(current, version);
  }

  /** Whether {@code id} serves; an InferenceException NOT_FOUND if there is no such version. */
  boolean isServing(ModelId id) {
    ModelVersions current = versions;
    String version = canonical(id);
    if (!version.isEmpty() && current.slot(version) == null) {
      throw notServing(current, version);
    }
    return current.serving(version) != null;
  }

  private static String canonical(ModelId id) {
    if (!id.hasVersion()) {
      return "";
    }
    if (!Versions.isNumeric(id.version())) {
      throw InferenceException.invalidArgument(
          "failed to get model version from specified version string '%s', version should be a number"
              .formatted(id.version()));
    }
    return Versions.canonical(id.version());
  }

  private InferenceException notServing(ModelVersions current, String version) {
    if (version.isEmpty()) {
      return current.isAny(ModelState.LOADING)
          ? InferenceException.unavailable(
              "Request for unknown model: '%s' is not at ready state".formatted(name))
          : InferenceException.notFound(
              "Request for unknown model: '%s' has no available versions".formatted(name));
    }
    return current.slot(version) == null
        ? InferenceException.notFound(
            "Request for unknown model: '%s' version %s is not found".formatted(name, version))
        : new InferenceException(
            ErrorCode.UNAVAILABLE,
            "Request for unknown model: '%s' version %s is not at ready state"
                .formatted(name, version));
  }

  /** What the versions that serve have done, oldest first. */
  List<ModelStatistics> statistics() {
    return versions.serving().stream().map(LoadedModel::statistics).toList();
  }

  List<ModelStatus> statuses() {
    List<ModelStatus> statuses = new ArrayList<>();
    versions
        .slots()
        .forEach((version, slot) ->
            statuses.add(new ModelStatus(name, version, slot.state(), slot.reason())));
    return statuses;
  }
}
