package dev.millrace.server.v1;

import com.google.protobuf.Int64Value;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.proto.tfserving.ModelSpec;

/** TF Serving's way to name a model. */
final class ModelSpecs {
  private ModelSpecs() {}

  /** A model that a request is for, and how it is to be called. */
  record Target(ModelId id, Signature signature) {
    ModelMetadata metadata() {
      return signature.metadata();
    }
  }

  /**
   * The model that a request is for.
   *
   * @param present whether the request names any
   * @throws InferenceException as {@link #id} and {@link ServedModels#metadata}, and
   *     FAILED_PRECONDITION if it asks for a signature that the model does not have
   */
  static Target target(boolean present, ModelSpec spec, ServedModels models) {
    ModelId id = id(present, spec, models);
    Signature signature =
        models
            .signatures(id)
            .find(spec.getSignatureName())
            .orElseThrow(() ->
                new InferenceException(
                    ErrorCode.FAILED_PRECONDITION,
                    "Serving signature key \"%s\" not found."
                        .formatted(V1Errors.shortened(spec.getSignatureName()))));
    return new Target(id, signature);
  }

  /**
   * The model that a request names.
   *
   * @param present whether the request names any
   * @throws InferenceException INVALID_ARGUMENT if it does not, or by a label that is not there;
   *     NOT_FOUND if there is no such model
   */
  static ModelId id(boolean present, ModelSpec spec, ServedModels models) {
    if (!present) {
      throw InferenceException.invalidArgument("Missing ModelSpec");
    }
    return switch (spec.getVersionChoiceCase()) {
      case VERSION -> versioned(spec.getName(), spec.getVersion().getValue());
      case VERSION_LABEL -> models.labelled(spec.getName(), spec.getVersionLabel());
      case VERSIONCHOICE_NOT_SET -> ModelId.latest(spec.getName());
    };
  }

  private static ModelId versioned(String name, long version) {
    ModelId id = new ModelId(name, Long.toString(version));
    if (version < 0) {
      throw V1Errors.noServable(id);
    }
    return id;
  }

  /** The model that answered, and the signature that it was called by. */
  static ModelSpec write(ModelId id, String signature) {
    ModelSpec.Builder spec = ModelSpec.newBuilder().setName(id.name());
    if (isLong(id.version())) {
      spec.setVersion(Int64Value.of(Long.parseLong(id.version())));
    }
    return spec.setSignatureName(signature).build();
  }

  /** Whether the protocol's numbers are large enough for a version. */
  static boolean isLong(String version) {
    return version.matches("\\d{1,18}");
  }
}
