package dev.millrace.runtime;

import dev.millrace.api.Attributes;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.batcher.Batcher;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * The ways of a request through one loaded version that is called by another of its signatures than
 * its own. Each has instances and a batcher of its own, over the same weights; they are made when
 * they are first asked for, as most never are. Transformers are around the model's own signature
 * only. Thread-safe.
 */
final class SignaturePipelines implements AutoCloseable {
  /** The signature that a request is for; the model's own if there is no such attribute. */
  static final Attributes.Key<String> SIGNATURE = Attributes.Key.of("signature", String.class);

  private final Map<String, ModelMetadata> metadata;
  private final Function<String, Way> maker;
  private final Map<String, Way> ways = new LinkedHashMap<>();

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
   * The way of a signature that is not the model's own. The model is leased meanwhile, so that this
   * is not closed.
   *
   * @throws InferenceException NOT_FOUND if there is none of that name
   */
  synchronized Pipeline pipeline(String name) {
    if (!metadata.containsKey(name)) {
      throw InferenceException.notFound("the model has no signature '%s'".formatted(name));
    }
    return ways.computeIfAbsent(name, maker).pipeline();
  }

  /** Runs that have not come back. */
  synchronized int hungRuns() {
    return ways.values().stream().mapToInt(way -> way.batcher().hungRuns()).sum();
  }

  /** Drains what was made, and frees it. */
  @Override
  public synchronized void close() {
    for (Way way : ways.values()) {
      way.batcher().close();
      way.parts().forEach(part -> part.share().close());
    }
  }
}
