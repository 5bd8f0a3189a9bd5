package dev.millrace.server.v1;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.proto.tfserving.InferenceResult;
import dev.millrace.proto.tfserving.InferenceTask;
import dev.millrace.proto.tfserving.MultiInferenceResponse;
import dev.millrace.server.v1.ModelSpecs.Target;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Classifications and regressions of the same examples. The model runs once for all of them, as
 * they read the same outputs.
 */
final class InferenceTasks {
  private InferenceTasks() {}

  /**
   * The one model that all tasks are for.
   *
   * @throws InferenceException INVALID_ARGUMENT if that are none or several, or a task is there
   *     twice; UNIMPLEMENTED for a task of another kind; and as {@link ModelSpecs#target}
   */
  static Target target(List<InferenceTask> tasks, ServedModels models) {
    if (tasks.isEmpty()) {
      throw InferenceException.invalidArgument("Inference request has no tasks");
    }
    Set<String> methods = new HashSet<>();
    Target common = null;
    for (InferenceTask task : tasks) {
      String method = task.getMethodName();
      if (!method.equals(Signatures.CLASSIFY_METHOD) && !method.equals(Signatures.REGRESS_METHOD)) {
        throw new InferenceException(
            ErrorCode.UNIMPLEMENTED,
            "Unsupported signature method_name: " + V1Errors.shortened(method));
      }
      Target target = ModelSpecs.target(task.hasModelSpec(), task.getModelSpec(), models);
      if (common != null && !common.id().equals(target.id())) {
        throw InferenceException.invalidArgument(
            "All ModelSpecs in a MultiInferenceRequest must access the same model name and version.");
      }
      common = target;
      if (!methods.add(method)) {
        throw InferenceException.invalidArgument(
            "Duplicate evaluation of signature: " + target.signature());
      }
    }
    return requireNonNull(common);
  }

  /** The answer to each task; the response stays the caller's. */
  static MultiInferenceResponse results(
      List<InferenceTask> tasks, InferenceResponse response, String signature) {
    MultiInferenceResponse.Builder message = MultiInferenceResponse.newBuilder();
    for (InferenceTask task : tasks) {
      InferenceResult.Builder result =
          message.addResultsBuilder().setModelSpec(ModelSpecs.write(response.model(), signature));
      if (task.getMethodName().equals(Signatures.CLASSIFY_METHOD)) {
        result.setClassificationResult(ResultMessages.classifications(response.outputs()));
      } else {
        result.setRegressionResult(ResultMessages.regressions(response.outputs()));
      }
    }
    return message.build();
  }
}
