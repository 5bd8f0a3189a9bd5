package dev.millrace.runtime;

import dev.millrace.api.Attributes;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.batcher.Batcher;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * The ways of a request through one loaded version that is called by another of its signatures than
 * its own. Each has instances and a batcher of its own, over the same weights; they are made when
 * they are first asked for, as most never are, on a thread of their own, as that can take long.
 * Transformers are around the model's own signature only. Thread-safe.
 */
final class SignaturePipelines implements AutoCloseable {
  /** The signature that a request is for; the model's own if there is no such attribute. */
  static final Attributes.Key<String> SIGNATURE = Attributes.Key.of("signature", String.class);

  private final Map<String, ModelMetadata> metadata;
  private final Function<String, Way> maker;

  /** What is made or being made; what could not be made is not there, and is tried again. */
  private final Map<String, CompletableFuture<Pipeline>> pipelines = new HashMap<>();

  private final List<Way> ways = new ArrayList<>();

  /**
   * A way that was made.
   *
   * @param batcher owned by this
   * @param parts what the batcher runs, and what it may use of each device; the models are the
   *     version's
   */
  record Way(Pipeline pipeline, Batcher batcher, List<ModelOnDevice> parts) {}

  /**
   * The ways through a model.
   *
   * @param metadata of every signature, by name, the model's own among them; empty if the model
   *     does not know any
   * @param maker makes the way of one of them; may throw
   */
  SignaturePipelines(Map<String, ModelMetadata> metadata, Function<String, Way> maker) {
    this.metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    this.maker = maker;
  }

  Map<String, ModelMetadata> metadata() {
    return metadata;
  }

  /**
   * The way of a signature that is not the model's own. The model is leased by whoever waits for
   * it, so that this is not closed meanwhile. Does not block.
   *
   * @return completes, on another thread if it has to be made, with the way, or with the
   *     InferenceException for which it could not be made; those that ask later try again
   * @throws InferenceException NOT_FOUND if there is none of that name
   */
  CompletableFuture<Pipeline> pipeline(String name) {
    if (!metadata.containsKey(name)) {
      throw InferenceException.notFound("the model has no signature '%s'".formatted(name));
    }
    CompletableFuture<Pipeline> made;
    synchronized (this) {
      CompletableFuture<Pipeline> known = pipelines.get(name);
      if (known != null) {
        return known;
      }
      made = new CompletableFuture<>();
      pipelines.put(name, made);
    }
    try {
      Thread.ofPlatform().name("signature-" + name).daemon().start(() -> make(name, made));
    } catch (Throwable e) { // no thread to be had
      fail(name, made, e);
    }
    return made;
  }

  private void make(String name, CompletableFuture<Pipeline> made) {
    Way way;
    try {
      way = maker.apply(name);
    } catch (Throwable e) {
      fail(name, made, e);
      return;
    }
    synchronized (this) {
      ways.add(way);
    }
    made.complete(way.pipeline());
  }

  private void fail(String name, CompletableFuture<Pipeline> made, Throwable failure) {
    synchronized (this) {
      pipelines.remove(name);
    }
    made.completeExceptionally(InferenceException.of(failure));
  }

  /** Runs that have not come back. */
  synchronized int hungRuns() {
    return ways.stream().mapToInt(way -> way.batcher().hungRuns()).sum();
  }

  /** Drains what was made, and frees it; waits for what is being made for nobody any more. */
  @Override
  public void close() {
    List<CompletableFuture<Pipeline>> all;
    synchronized (this) {
      all = List.copyOf(pipelines.values());
    }
    all.forEach(made -> made.handle((pipeline, failure) -> pipeline).join());
    synchronized (this) {
      for (Way way : ways) {
        way.batcher().close();
        way.parts().forEach(part -> part.share().close());
      }
    }
  }
}
