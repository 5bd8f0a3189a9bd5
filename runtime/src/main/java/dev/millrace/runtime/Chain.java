package dev.millrace.runtime;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Ticker;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The transformers around one model version, outermost first: the server's own, then those of the
 * model's configuration, which this made and closes. Immutable.
 */
final class Chain implements AutoCloseable {
  private record Named(String name, Transformer transformer) {}

  private final List<Named> steps = new ArrayList<>();
  private final List<Transformer> made = new ArrayList<>();

  private Chain(List<Transformer> outermost) {
    Set<String> names = new HashSet<>();
    outermost.forEach(transformer -> add(transformer, names));
  }

  /** No steps. */
  static Chain none() {
    return new Chain(List.of());
  }

  private void add(Transformer transformer, Set<String> names) {
    String name = transformer.name();
    for (int i = 2; !names.add(name); i++) {
      name = transformer.name() + "-" + i;
    }
    steps.add(new Named(name, transformer));
  }

  /**
   * Makes the steps that the plan lists.
   *
   * @param outermost steps that stand before them; stay the caller's
   * @throws InferenceException INVALID_ARGUMENT that names the file, the key and the nearest right
   *     one, or whatever a factory throws; nothing is left behind
   */
  static Chain of(LoadPlan plan, List<Transformer> outermost, List<TransformerFactory> factories) {
    Chain chain = new Chain(outermost);
    Set<String> names = new HashSet<>();
    chain.steps.forEach(step -> names.add(step.name()));
    try {
      for (TransformerConfig config : plan.transformers()) {
        Transformer transformer = make(plan, config, factories);
        chain.made.add(transformer);
        chain.add(transformer, names);
      }
      return chain;
    } catch (Throwable e) {
      chain.close();
      throw e;
    }
  }

  /** With the context class loader of the plug-in, as when a backend loads a model. */
  private static Transformer make(
      LoadPlan plan, TransformerConfig config, List<TransformerFactory> factories) {
    TransformerFactory factory = find(config, factories);
    Settings settings = config.settings();
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(factory.getClass().getClassLoader());
    Transformer transformer;
    try {
      transformer = factory.create(new TransformerSource(plan.id(), plan.directories(), settings));
    } catch (InferenceException e) {
      throw e;
    } catch (RuntimeException | LinkageError e) {
      InferenceException failure = InferenceException.of(e);
      throw new InferenceException(
          failure.code(),
          "%s: transformer '%s' failed to load: %s"
              .formatted(config.place(), config.kind(), failure.getMessage()),
          e);
    } finally {
      thread.setContextClassLoader(before);
    }
    try {
      settings.rejectUnknown();
      return transformer;
    } catch (InferenceException e) {
      transformer.close();
      throw e;
    }
  }

  private static TransformerFactory find(
      TransformerConfig config, List<TransformerFactory> factories) {
    for (TransformerFactory factory : factories) {
      if (factory.name().equals(config.kind())) {
        return factory;
      }
    }
    List<String> names = factories.stream().map(TransformerFactory::name).sorted().toList();
    throw InferenceException.invalidArgument(
        "%s: unknown transformer '%s'%s"
            .formatted(
                config.place(),
                config.kind(),
                Settings.nearest(config.kind(), names)
                    .map(name -> "; did you mean '" + name + "'?")
                    .orElse(
                        names.isEmpty()
                            ? "; none are installed"
                            : "; known are " + String.join(", ", names))));
  }

  boolean isEmpty() {
    return steps.isEmpty();
  }

  /**
   * What the model looks like to clients.
   *
   * @throws InferenceException if a step does not fit what is behind it
   */
  ModelMetadata describe(ModelMetadata model) {
    ModelMetadata metadata = model;
    for (Named step : steps.reversed()) {
      try {
        metadata = step.transformer().describe(metadata);
      } catch (RuntimeException e) {
        InferenceException failure = InferenceException.of(e);
        throw new InferenceException(
            failure.code(),
            "transformer '%s' does not fit the model: %s"
                .formatted(step.name(), failure.getMessage()),
            e);
      }
    }
    return metadata;
  }

  /** The steps, to be run, outermost first. */
  List<ChainStep> measured(ModelMeters meters, Ticker ticker) {
    return steps.stream()
        .map(step -> new ChainStep(step.name(), step.transformer(), meters, ticker))
        .toList();
  }

  /** Closes the steps that this made, the innermost first. */
  @Override
  public void close() {
    made.reversed().forEach(Transformer::close);
  }

  @Override
  public String toString() {
    return steps.stream().map(Named::name).collect(Collectors.joining(", "));
  }
}
