package dev.millrace.runtime;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The versions of one model at one moment, oldest first; immutable. The empty version stands for
 * the model as a whole while nothing is known of its versions.
 */
final class ModelVersions {
  static final ModelVersions NONE = new ModelVersions(new TreeMap<>(Versions.ORDER));

  /**
   * Where one version is in its life.
   *
   * @param model what serves if the state is READY, what is going away if it is UNLOADING
   */
  record Slot(ModelState state, String reason, @Nullable LoadedModel model) {
    static Slot loading() {
      return new Slot(ModelState.LOADING, "", null);
    }

    static Slot ready(LoadedModel model) {
      return new Slot(ModelState.READY, "", model);
    }

    static Slot unloading(LoadedModel model) {
      return new Slot(ModelState.UNLOADING, "", model);
    }

    static Slot unavailable(String reason) {
      return new Slot(ModelState.UNAVAILABLE, reason, null);
    }

    /** What serves; null if nothing does. */
    @Nullable LoadedModel serving() {
      return state == ModelState.READY ? model : null;
    }
  }

  private final SortedMap<String, Slot> slots;

  /** The newest that is ready. */
  private final @Nullable LoadedModel latest;

  private ModelVersions(SortedMap<String, Slot> slots) {
    this.slots = slots;
    LoadedModel newest = null;
    for (Slot slot : slots.values()) {
      newest = slot.serving() == null ? newest : slot.serving();
    }
    this.latest = newest;
  }

  /** These versions with some changed or added. */
  ModelVersions with(Map<String, Slot> changes) {
    SortedMap<String, Slot> changed = new TreeMap<>(slots);
    changed.putAll(changes);
    if (changed.size() > 1) {
      changed.remove("");
    }
    return new ModelVersions(changed);
  }

  Map<String, Slot> slots() {
    return Collections.unmodifiableMap(slots);
  }

  @Nullable Slot slot(String version) {
    return slots.get(version);
  }

  /** What serves that version, or the newest if it is empty; null if nothing does. */
  @Nullable LoadedModel serving(String version) {
    if (version.isEmpty()) {
      return latest;
    }
    Slot slot = slots.get(version);
    return slot == null ? null : slot.serving();
  }

  /** Everything that serves, oldest first. */
  List<LoadedModel> serving() {
    List<LoadedModel> serving = new ArrayList<>();
    for (Slot slot : slots.values()) {
      LoadedModel model = slot.serving();
      if (model != null) {
        serving.add(model);
      }
    }
    return serving;
  }

  boolean isAny(ModelState state) {
    return slots.values().stream().anyMatch(slot -> slot.state() == state);
  }
}
