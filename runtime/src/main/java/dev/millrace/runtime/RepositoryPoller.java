package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sees what changes in a repository while it is served: loads models and versions that came or were
 * changed, and unloads those that went.
 *
 * <p>A change counts when two polls one after the other have seen the same files, of the same sizes
 * and times, so that nothing is loaded of which only half is copied. What failed to load is tried
 * again when its files have changed, and not before. A place that cannot be read leaves all as it
 * is. Not thread-safe.
 */
final class RepositoryPoller {
  private static final Logger LOG = LoggerFactory.getLogger(RepositoryPoller.class);

  /** Carries out what was found. Neither method throws for a model that does not load. */
  interface Changes {
    /**
     * Loads a model, or loads it again.
     *
     * @param unchanged versions whose files are as they were when they were loaded
     */
    void load(FoundModel model, Set<String> unchanged);

    void unload(String model);
  }

  private final Supplier<List<FoundModel>> repository;
  private final Changes changes;

  /** By model, the files that were loaded, or failed to load. */
  private final Map<String, ModelListing> tried = new HashMap<>();

  /** By model, the files of the latest poll. */
  private Map<String, ModelListing> latest = new HashMap<>();

  private boolean isReadable = true;

  /**
   * A poller that takes what is there now for loaded.
   *
   * @param repository gives all models that are there; throws if it cannot be read
   * @param loaded what is being loaded by others
   */
  RepositoryPoller(
      Supplier<List<FoundModel>> repository, List<FoundModel> loaded, Changes changes) {
    this.repository = repository;
    this.changes = changes;
    for (FoundModel model : loaded) {
      tried.put(model.name(), ModelListing.of(model));
    }
    latest.putAll(tried);
  }

  /** Looks once, and acts on what it saw before and still sees; blocks while models load. */
  void poll() {
    List<FoundModel> models;
    try {
      models = repository.get();
      isReadable = true;
    } catch (InferenceException e) {
      if (isReadable) {
        LOG.warn("models are not looked for: {}", e.getMessage());
      }
      isReadable = false;
      return;
    }
    Map<String, ModelListing> now = new LinkedHashMap<>();
    Map<String, FoundModel> changed = new LinkedHashMap<>();
    for (FoundModel model : models) {
      ModelListing listing = ModelListing.of(model);
      if (now.putIfAbsent(model.name(), listing) != null) {
        continue; // the first place of several wins
      }
      if (!listing.equals(tried.get(model.name())) && listing.equals(latest.get(model.name()))) {
        changed.put(model.name(), model);
      }
    }
    Set<String> gone = new HashSet<>(tried.keySet());
    gone.removeIf(name -> now.containsKey(name) || latest.containsKey(name));
    latest = now;
    for (String name : gone) {
      LOG.info("{} is gone from the repository", name);
      tried.remove(name);
      changes.unload(name);
    }
    changed.forEach((name, model) -> {
      ModelListing listing = ModelListing.of(model);
      if (!listing.equals(now.get(name))) {
        return; // it goes on changing
      }
      ModelListing before = tried.put(name, listing);
      LOG.info("{} is {} in the repository", name, before == null ? "new" : "changed");
      changes.load(model, before == null ? Set.of() : listing.unchangedSince(before));
    });
  }
}
