package dev.millrace.server.llm;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.runtime.ModelLease;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.runtime.ModelState;
import dev.millrace.runtime.ModelStatus;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Finds models by the names that clients of OpenAI's API use. Thread-safe. */
final class LlmModels {
  private final ModelRegistry registry;
  private final MeterRegistry meters;
  private final Consumer<ServedModel> whenNew;
  private final Map<String, ServedModel> served = new ConcurrentHashMap<>();

  /** The alias or adapter that a name was last found to be, and of which model; checked on use. */
  private final Map<String, String> owners = new ConcurrentHashMap<>();

  /**
   * @param whenNew told of each model that upstreams answer for, when it is first asked for
   */
  LlmModels(ModelRegistry registry, MeterRegistry meters, Consumer<ServedModel> whenNew) {
    this.registry = registry;
    this.meters = meters;
    this.whenNew = whenNew;
  }

  /**
   * The model that a request is for.
   *
   * @param name empty for the only one
   * @throws InferenceException INVALID_ARGUMENT, NOT_FOUND or UNAVAILABLE
   */
  Target find(String name) {
    if (name.isEmpty()) {
      return new Target(only(), Target.Naming.OWN);
    }
    try {
      return new Target(registry.lease(ModelId.latest(name)), Target.Naming.OWN);
    } catch (InferenceException e) {
      if (e.code() != ErrorCode.NOT_FOUND) {
        throw e.code() == ErrorCode.UNAVAILABLE ? notReady(name) : e;
      }
      Target other = findByOtherName(name);
      if (other == null) {
        throw unknown(name);
      }
      return other;
    }
  }

  private static InferenceException notReady(String name) {
    return InferenceException.unavailable("The model `%s` is not ready.".formatted(name));
  }

  private static InferenceException unknown(String name) {
    return InferenceException.notFound("The model `%s` does not exist.".formatted(name));
  }

  private @Nullable Target findByOtherName(String name) {
    String known = owners.get(name);
    Target target = known == null ? null : otherName(known, name);
    if (target != null) {
      return target;
    }
    for (String model : ready()) {
      target = otherName(model, name);
      if (target != null) {
        owners.put(name, model);
        return target;
      }
    }
    owners.remove(name);
    return null;
  }

  /** The model, if {@code name} is another name of it. */
  private @Nullable Target otherName(String model, String name) {
    ModelLease lease;
    try {
      lease = registry.lease(ModelId.latest(model));
    } catch (InferenceException e) { // gone meanwhile
      return null;
    }
    if (lease.servable() instanceof UpstreamModel upstream) {
      if (upstream.policy().aliases().contains(name)) {
        return new Target(lease, Target.Naming.ALIAS);
      }
      if (upstream.policy().adapters().contains(name)
          || served(lease.id(), upstream).balancer().lists(name)) {
        return new Target(lease, Target.Naming.ADAPTER);
      }
    }
    lease.close();
    return null;
  }

  private List<String> ready() {
    return registry.index().stream()
        .filter(status -> status.state() == ModelState.READY)
        .map(ModelStatus::name)
        .distinct()
        .toList();
  }

  /** The only language model, else the only model. */
  private ModelLease only() {
    List<String> names = ready();
    List<String> candidates = unnamed(names);
    if (candidates.size() != 1) {
      throw InferenceException.invalidArgument(
          "the request names no model; expected a member 'model', one of %s"
              .formatted(names.stream().limit(5).toList()));
    }
    return registry.lease(ModelId.latest(candidates.getFirst()));
  }

  /** Whether there is a model for a request that names none. */
  boolean isOnly() {
    return unnamed(ready()).size() == 1;
  }

  /** The models that a request may mean that names none. */
  private List<String> unnamed(List<String> names) {
    return names.size() == 1 ? names : names.stream().filter(this::isLanguageModel).toList();
  }

  private boolean isLanguageModel(String name) {
    try (ModelLease lease = registry.lease(ModelId.latest(name))) {
      return LlmRoutes.isLanguageModel(lease.servable());
    } catch (InferenceException e) {
      return false;
    }
  }

  /** Sees to it that what upstreams answer for is known, also before anybody asks for it. */
  void discover() {
    for (String name : ready()) {
      try (ModelLease lease = registry.lease(ModelId.latest(name))) {
        if (lease.servable() instanceof UpstreamModel upstream) {
          var _ = served(lease.id(), upstream);
        }
      } catch (InferenceException e) {
        // Gone meanwhile.
      }
    }
  }

  /** The names of all models, with their aliases and adapters. */
  List<String> names() {
    Set<String> names = new LinkedHashSet<>();
    for (String name : registry.index().stream().map(ModelStatus::name).distinct().toList()) {
      names.add(name);
      try (ModelLease lease = registry.lease(ModelId.latest(name))) {
        if (lease.servable() instanceof UpstreamModel upstream) {
          names.addAll(upstream.policy().aliases());
          names.addAll(upstream.policy().adapters());
          names.addAll(served(lease.id(), upstream).adapters());
        }
      } catch (InferenceException e) {
        // It is listed, and does not serve.
      }
    }
    return List.copyOf(names);
  }

  /** What is known of a leased model. */
  @SuppressWarnings("ReferenceEquality") // the one that was loaded last, however alike
  ServedModel served(ModelId id, UpstreamModel model) {
    ServedModel known = served.get(id.name());
    return known != null && known.model() == model ? known : replaced(id, model);
  }

  @SuppressWarnings("ReferenceEquality") // as above
  private ServedModel replaced(ModelId id, UpstreamModel model) {
    boolean[] isNew = {false};
    ServedModel current =
        served.compute(
            id.name(),
            (name, before) -> {
              if (before != null && before.model() == model) {
                return before;
              }
              if (before != null) {
                before.close();
              }
              isNew[0] = true;
              return new ServedModel(id, model, meters);
            });
    if (isNew[0]) {
      whenNew.accept(current);
    }
    return current;
  }

  /** Whether a model is what serves under its name; forgets it if it is not. */
  @SuppressWarnings("ReferenceEquality") // as above
  boolean isCurrent(ServedModel model) {
    try (ModelLease lease = registry.lease(ModelId.latest(model.id().name()))) {
      if (lease.servable() == model.model()) {
        return true;
      }
    } catch (InferenceException e) {
      // Unloaded.
    }
    if (served.remove(model.id().name(), model)) {
      model.close();
    }
    return false;
  }
}
