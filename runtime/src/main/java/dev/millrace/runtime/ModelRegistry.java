package dev.millrace.runtime;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Ticker;
import dev.millrace.runtime.FoundModel.FoundVersion;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is loaded now. Loading and unloading run on threads of the registry, several models at once,
 * one change of a model after the other. Thread-safe.
 */
public final class ModelRegistry {
  private static final Logger LOG = LoggerFactory.getLogger(ModelRegistry.class);

  /** On one processor too: a script or an engine that starts is mostly waited for. */
  private static final int MOST_LOADS_AT_ONCE = 4;

  private final RuntimeConfig config;
  private final ModelRepository repository;
  private final ModelLoader loader;
  private final Meters meters;
  private final Ticker ticker;
  private final Map<String, ModelEntry> entries = new ConcurrentHashMap<>();
  private final ExecutorService loading;
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile boolean isStarted;

  ModelRegistry(
      RuntimeConfig config,
      ModelRepository repository,
      ModelLoader loader,
      Meters meters,
      Ticker ticker) {
    this.config = config;
    this.repository = repository;
    this.loader = loader;
    this.meters = meters;
    this.ticker = ticker;
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            MOST_LOADS_AT_ONCE,
            MOST_LOADS_AT_ONCE,
            5,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().name("model-loader-", 1).daemon().factory());
    pool.allowCoreThreadTimeOut(true);
    this.loading = pool;
  }

  /**
   * Loads every model of the configured places, several at once, and blocks until each has either
   * loaded or failed. A model that fails is recorded with its reason and does not stop the others.
   * Called once.
   *
   * @throws InferenceException if a place does not exist or holds nothing that a backend
   *     recognises; then nothing is loaded
   */
  public void loadAll(LoadListener progress) {
    repository.awaitPlaces(config.modelWait(), closed);
    List<FoundModel> models = repository.findAll(config.options());
    List<ModelEntry> wanted = new ArrayList<>();
    for (FoundModel model : models) {
      ModelEntry entry = entry(model.name());
      switch (model) {
        case FoundModel.Loadable loadable -> {
          entry.require(versionsOf(loadable));
          entry.loading(versionsOf(loadable));
        }
        case FoundModel.Broken _ -> entry.require(List.of(""));
      }
      wanted.add(entry);
    }
    isStarted = true;
    List<CompletableFuture<?>> loads = new ArrayList<>();
    for (int i = 0; i < models.size(); i++) {
      ModelEntry entry = wanted.get(i);
      FoundModel model = models.get(i);
      CompletableFuture<Void> load = submit(done -> change(entry, model, Set.of(), progress, done));
      loads.add(load.exceptionally(recorded -> null));
    }
    loads.forEach(CompletableFuture::join);
    if (config.pollInterval().isPositive()) {
      poll(models);
    }
  }

  /** Looks for changes from now on, on a thread of its own, until this is closed. */
  private void poll(List<FoundModel> models) {
    RepositoryPoller poller =
        new RepositoryPoller(
            () -> repository.findPresent(config.options()),
            models,
            new RepositoryPoller.Changes() {
              @Override
              public void load(FoundModel model, Set<String> unchanged) {
                await(
                    submit(done ->
                        change(entry(model.name()), model, unchanged, LoadListener.NONE, done)));
              }

              @Override
              public void unload(String model) {
                await(ModelRegistry.this.unload(model));
              }
            });
    Thread.ofPlatform()
        .name("repository-poller")
        .daemon()
        .start(() -> {
          try {
            while (!closed.await(config.pollInterval().toNanos(), TimeUnit.NANOSECONDS)) {
              try {
                poller.poll();
              } catch (RuntimeException e) {
                LOG.error("looking for changes of models failed", e);
              }
            }
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
  }

  /** Waits for a change, whose failure is recorded by others. */
  private static void await(CompletableFuture<Void> change) {
    var _ = change.exceptionally(recorded -> null).join();
  }

  /**
   * Loads a model of the configured places, or loads it again: what is served now keeps serving
   * until the new one is warmed up, and if that fails, it stays.
   *
   * @param overrides settings that win over all others, with the keys of {@code model.yaml} or the
   *     snake-case ones of Triton's model configuration
   * @return completes when the new one serves, or with an InferenceException whose message starts
   *     {@code failed to load 'name', }
   */
  public CompletableFuture<Void> load(String name, Map<String, Object> overrides) {
    return submit(done -> {
      FoundModel model;
      try {
        ModelOptions options = LoadOverrides.read(overrides).over(config.options());
        model =
            repository
                .find(name, options)
                .orElseThrow(
                    () -> InferenceException.notFound("failed to poll from model repository"));
      } catch (RuntimeException e) {
        throw failedToLoad(name, InferenceException.of(e));
      }
      change(entry(name), model, Set.of(), LoadListener.NONE, done);
    });
  }

  /**
   * Stops serving a model: new requests are refused as soon as a load that is under way has ended.
   *
   * @return completes when the last lease is closed and the memory is freed, that of versions which
   *     were replaced before too, or with an InferenceException NOT_FOUND
   */
  public CompletableFuture<Void> unload(String name) {
    ModelEntry entry = entries.get(name);
    if (entry == null) {
      return CompletableFuture.failedFuture(unknown(name));
    }
    return submit(done -> {
      entry.changing().lock();
      try {
        var _ = entry.unload().whenComplete((nothing, failure) -> finish(done, failure));
      } finally {
        entry.changing().unlock();
      }
    });
  }

  /** Runs a change on a loading thread; it completes the future, unless it throws. */
  private CompletableFuture<Void> submit(Consumer<CompletableFuture<Void>> change) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    try {
      loading.execute(() -> {
        try {
          change.accept(done);
        } catch (Throwable e) {
          finish(done, e);
        }
      });
    } catch (RejectedExecutionException e) {
      finish(done, shuttingDown());
    }
    return done;
  }

  private static void finish(CompletableFuture<Void> done, @Nullable Throwable failure) {
    if (failure == null) {
      done.complete(null);
    } else {
      done.completeExceptionally(InferenceException.of(failure));
    }
  }

  /**
   * Loads {@code model} and swaps it in; throws what {@link #load} is documented to.
   *
   * @param unchanged versions that stay as they are if they serve
   */
  private void change(
      ModelEntry entry,
      FoundModel model,
      Set<String> unchanged,
      LoadListener progress,
      CompletableFuture<Void> done) {
    entry.changing().lock();
    try {
      switch (model) {
        case FoundModel.Broken(String name, var _, InferenceException reason) -> {
          LOG.error("{}: {}", name, reason.getMessage());
          entry.failed("", reason);
          progress.failed(ModelId.latest(name), reason, Duration.ZERO);
          throw failedToLoad(name, reason);
        }
        case FoundModel.Loadable loadable -> loadVersions(entry, loadable, unchanged, progress);
      }
    } finally {
      entry.changing().unlock();
    }
    done.complete(null);
  }

  private void loadVersions(
      ModelEntry entry, FoundModel.Loadable model, Set<String> unchanged, LoadListener progress) {
    boolean isServing = !entry.versions().serving().isEmpty();
    entry.label(
        model.options().over(model.config().options()).versionLabels().orElse(VersionLabels.NONE));
    entry.loading(versionsOf(model));
    List<LoadedModel> loaded = new ArrayList<>();
    List<LoadedModel> kept = new ArrayList<>();
    InferenceException failure = null;
    for (FoundVersion version : model.versions()) {
      LoadedModel current = entry.versions().serving(version.version());
      if (current != null && unchanged.contains(version.version())) {
        kept.add(current);
        continue;
      }
      try {
        loaded.add(loadVersion(model, version, progress));
      } catch (InferenceException e) {
        entry.failed(version.version(), e);
        failure = failure == null ? e : failure;
      }
    }
    // A reload is all or nothing; at first, what can serve does.
    if (failure != null && isServing) {
      for (LoadedModel discarded : loaded) {
        entry.failed(discarded.id().version(), failure);
        entry.discard(discarded);
      }
    } else if (!loaded.isEmpty() || !kept.isEmpty()) {
      entry.replace(loaded, kept, failure == null);
      for (LoadedModel ready : loaded) {
        progress.loaded(ready.id(), describe(ready.id()), Duration.ofNanos(ready.loadNanos()));
      }
    }
    if (failure != null) {
      throw failedToLoad(model.name(), failure);
    }
  }

  private LoadedModel loadVersion(
      FoundModel.Loadable model, FoundVersion version, LoadListener progress) {
    ModelId id = new ModelId(model.name(), version.version());
    long start = ticker.nanos();
    progress.loading(id);
    try {
      if (closed.getCount() == 0) {
        throw shuttingDown();
      }
      LoadedModel loaded = loader.load(repository.plan(model, version));
      LOG.info(
          "loaded {} on {} in {} ms: {}, {}",
          id,
          Placement.devices(loaded.placements()),
          loaded.loadNanos() / 1_000_000,
          Placement.describe(loaded.placements()),
          loaded.metadata().maxBatchSize() == 0
              ? "requests are not merged"
              : "at most %d rows at once".formatted(loaded.metadata().maxBatchSize()));
      return loaded;
    } catch (RuntimeException e) {
      InferenceException reason = InferenceException.of(e);
      if (reason.code() == ErrorCode.INTERNAL) {
        LOG.error("{} failed to load", id, reason);
      } else {
        LOG.error("{} failed to load: {}", id, reason.getMessage());
      }
      progress.failed(id, reason, Duration.ofNanos(ticker.nanos() - start));
      throw reason;
    }
  }

  private static List<String> versionsOf(FoundModel.Loadable model) {
    return model.versions().stream().map(FoundVersion::version).toList();
  }

  static InferenceException shuttingDown() {
    return InferenceException.unavailable("the server is shutting down");
  }

  private static InferenceException failedToLoad(String name, InferenceException reason) {
    return new InferenceException(
        reason.code(), "failed to load '%s', %s".formatted(name, reason.getMessage()), reason);
  }

  private ModelEntry entry(String name) {
    return entries.computeIfAbsent(name, key -> new ModelEntry(key, meters));
  }

  private ModelEntry known(ModelId id) {
    ModelEntry entry = entries.get(id.name());
    if (entry == null) {
      throw isStarted
          ? unknown(id.name())
          : InferenceException.unavailable(
              "Request for unknown model: '%s' is not found yet, models are being looked for"
                  .formatted(id.name()));
    }
    return entry;
  }

  private static InferenceException unknown(String name) {
    return InferenceException.notFound(
        "Request for unknown model: '%s' is not found".formatted(name));
  }

  /** Every version of every model known, by name, then oldest first. */
  public List<ModelStatus> index() {
    List<ModelStatus> index = new ArrayList<>();
    for (ModelEntry entry : new TreeMap<>(entries).values()) {
      index.addAll(entry.statuses());
    }
    return index;
  }

  /**
   * The versions of one model, oldest first.
   *
   * @throws InferenceException NOT_FOUND if there is no such model
   */
  public List<ModelStatus> statuses(String name) {
    return known(ModelId.latest(name)).statuses();
  }

  /**
   * The version that a label stands for; whether it serves is another question.
   *
   * @throws InferenceException NOT_FOUND if there is no such model, INVALID_ARGUMENT if it has no
   *     such label
   */
  public ModelId labelled(String name, String label) {
    return known(ModelId.latest(name)).labelled(label);
  }

  /**
   * What is served under {@code id}.
   *
   * @throws InferenceException as {@link #lease}
   */
  public ModelDescription describe(ModelId id) {
    ModelEntry entry = known(id);
    LoadedModel model = entry.acquire(id);
    try {
      List<String> versions =
          id.hasVersion()
              ? List.of(model.id().version())
              : entry.versions().serving().stream().map(each -> each.id().version()).toList();
      return new ModelDescription(
          model.metadata(),
          versions,
          model.placements(),
          model.options(),
          model.labels(),
          model.declared(),
          model.pipeline().streams());
    } finally {
      model.release();
    }
  }

  /** What every version that serves has done, by name, then oldest first. */
  public List<ModelStatistics> statistics() {
    List<ModelStatistics> statistics = new ArrayList<>();
    for (ModelEntry entry : new TreeMap<>(entries).values()) {
      statistics.addAll(entry.statistics());
    }
    return statistics;
  }

  /**
   * What that version has done, or if none is named, every version of the model that serves.
   *
   * @throws InferenceException as {@link #lease}
   */
  public List<ModelStatistics> statistics(ModelId id) {
    ModelEntry entry = known(id);
    LoadedModel model = entry.acquire(id);
    try {
      return id.hasVersion() ? List.of(model.statistics()) : entry.statistics();
    } finally {
      model.release();
    }
  }

  /**
   * Whether that version, or any if none is named, serves.
   *
   * @throws InferenceException NOT_FOUND if there is no such model or version, INVALID_ARGUMENT if
   *     the version is not a number
   */
  public boolean isReady(ModelId id) {
    return known(id).isServing(id);
  }

  /**
   * The right to use that version, or the newest that is ready; the caller closes it.
   *
   * @throws InferenceException NOT_FOUND if there is no such model or version, UNAVAILABLE if it is
   *     not ready, INVALID_ARGUMENT if the version is not a number
   */
  public ModelLease lease(ModelId id) {
    return new ModelLease(acquire(id));
  }

  /** As {@link #lease}, but it is released by hand. */
  LoadedModel acquire(ModelId id) {
    return known(id).acquire(id);
  }

  /** Whether all models asked for at the start serve. */
  boolean isReady() {
    return isStarted && entries.values().stream().allMatch(ModelEntry::isFit);
  }

  /** Ends loads under way, unloads everything and waits until it is freed, at most that long. */
  void close(Duration timeout) {
    closed.countDown();
    loading.shutdown();
    try {
      if (!loading.awaitTermination(timeout.toNanos(), TimeUnit.NANOSECONDS)) {
        LOG.warn("a model is still being loaded after {} s", timeout.toSeconds());
      }
      List<CompletableFuture<Void>> freed = new ArrayList<>();
      for (ModelEntry entry : entries.values()) {
        freed.add(entry.unload());
      }
      CompletableFuture.allOf(freed.toArray(CompletableFuture[]::new))
          .get(timeout.toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      LOG.error("models are still in use after {} s and are not freed", timeout.toSeconds());
    } catch (ExecutionException e) {
      LOG.error("a model was not freed", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
