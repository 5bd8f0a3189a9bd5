package dev.millrace.server.v1;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.runtime.ModelLease;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.runtime.ModelStatus;
import java.util.List;

/** Finds models as these protocols name them, and says so in their words if there is none. */
final class ServedModels {
  private final ModelRegistry registry;

  ServedModels(ModelRegistry registry) {
    this.registry = registry;
  }

  /**
   * What {@code id} declares.
   *
   * @throws InferenceException NOT_FOUND, UNAVAILABLE, or INVALID_ARGUMENT if the version is no
   *     number
   */
  ModelMetadata metadata(ModelId id) {
    try (ModelLease lease = registry.lease(id)) {
      return lease.metadata();
    } catch (InferenceException e) {
      throw translated(e, id);
    }
  }

  /**
   * The ways in which {@code id} can be called.
   *
   * @throws InferenceException as {@link #metadata}
   */
  Signatures signatures(ModelId id) {
    try (ModelLease lease = registry.lease(id)) {
      return Signatures.of(lease);
    } catch (InferenceException e) {
      throw translated(e, id);
    }
  }

  /** The id with the version that a label stands for. */
  ModelId labelled(String name, String label) {
    try {
      return registry.labelled(name, label);
    } catch (InferenceException e) {
      throw translated(e, ModelId.latest(name));
    }
  }

  private static InferenceException translated(InferenceException e, ModelId id) {
    if (e.code() == ErrorCode.NOT_FOUND) {
      return V1Errors.noServable(id);
    }
    return e.code() == ErrorCode.UNAVAILABLE ? V1Errors.notReady(id) : e;
  }

  /**
   * The versions of a model, or the one that {@code id} names; oldest first, never empty.
   *
   * @throws InferenceException NOT_FOUND, or UNAVAILABLE if the models are still being looked for
   */
  List<ModelStatus> statuses(ModelId id) {
    List<ModelStatus> all;
    try {
      all = registry.statuses(id.name());
    } catch (InferenceException e) {
      if (e.code() == ErrorCode.NOT_FOUND) {
        throw V1Errors.noVersions(ModelId.latest(id.name()));
      }
      throw translated(e, id);
    }
    List<ModelStatus> wanted =
        all.stream()
            .filter(status -> !status.version().isEmpty())
            .filter(status -> !id.hasVersion() || status.version().equals(id.version()))
            .toList();
    if (wanted.isEmpty()) {
      throw V1Errors.noVersions(id);
    }
    return wanted;
  }

  /**
   * The only model.
   *
   * @throws InferenceException NOT_FOUND if there are others, or none
   */
  ModelId only() {
    List<String> names = names();
    if (names.size() != 1) {
      throw InferenceException.notFound(
          "this path is for a server with one model; say which one of %s under /v1/models"
              .formatted(names.stream().limit(5).toList()));
    }
    return ModelId.latest(names.getFirst());
  }

  /** The names of all models. */
  List<String> names() {
    return registry.index().stream().map(ModelStatus::name).distinct().toList();
  }
}
