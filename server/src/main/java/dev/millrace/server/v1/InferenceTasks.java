package dev.millrace.server.v1;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.TensorMap;
import dev.millrace.proto.tfserving.InferenceResult;
import dev.millrace.proto.tfserving.InferenceTask;
import dev.millrace.proto.tfserving.MultiInferenceResponse;
import dev.millrace.server.v1.ModelSpecs.Target;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Classifications and regressions of the same examples. The model runs once for all that are of one
 * signature, as they read the same outputs.
 *
 * @param tasks in the client's order
 * @param targets the signatures, each once
 * @param target for each task, the index of its signature among these
 */
record InferenceTasks(List<InferenceTask> tasks, List<Target> targets, List<Integer> target) {
  InferenceTasks {
    tasks = List.copyOf(tasks);
    targets = List.copyOf(targets);
    target = List.copyOf(target);
  }

  /**
   * The tasks of a request, which are all for one model.
   *
   * @throws InferenceException INVALID_ARGUMENT if there are none, they are for several models, or
   *     one is there twice; UNIMPLEMENTED for a task of another kind; and as {@link
   *     ModelSpecs#target}
   */
  static InferenceTasks of(List<InferenceTask> tasks, ServedModels models) {
    if (tasks.isEmpty()) {
      throw InferenceException.invalidArgument("Inference request has no tasks");
    }
    Set<String> seen = new HashSet<>();
    List<Target> targets = new ArrayList<>();
    List<Integer> indices = new ArrayList<>();
    for (InferenceTask task : tasks) {
      String method = task.getMethodName();
      if (!method.equals(Signatures.CLASSIFY_METHOD) && !method.equals(Signatures.REGRESS_METHOD)) {
        throw new InferenceException(
            ErrorCode.UNIMPLEMENTED,
            "Unsupported signature method_name: " + V1Errors.shortened(method));
      }
      Target target = ModelSpecs.target(task.hasModelSpec(), task.getModelSpec(), models);
      if (!targets.isEmpty() && !targets.getFirst().id().equals(target.id())) {
        throw InferenceException.invalidArgument(
            "All ModelSpecs in a MultiInferenceRequest must access the same model name and version.");
      }
      String name = target.signature().name();
      if (!seen.add(method + " " + name)) {
        throw InferenceException.invalidArgument("Duplicate evaluation of signature: " + name);
      }
      int index = targets.stream().map(each -> each.signature().name()).toList().indexOf(name);
      indices.add(index < 0 ? targets.size() : index);
      if (index < 0) {
        targets.add(target);
      }
    }
    return new InferenceTasks(tasks, targets, indices);
  }

  /**
   * The answer to each task.
   *
   * @param response of all targets, as {@link JoinedAnswers} makes it; stays the caller's
   */
  MultiInferenceResponse results(InferenceResponse response) {
    MultiInferenceResponse.Builder message = MultiInferenceResponse.newBuilder();
    for (int i = 0; i < tasks.size(); i++) {
      int index = target.get(i);
      TensorMap outputs = JoinedAnswers.outputs(response, index);
      InferenceResult.Builder result =
          message
              .addResultsBuilder()
              .setModelSpec(
                  ModelSpecs.write(response.model(), targets.get(index).signature().name()));
      if (tasks.get(i).getMethodName().equals(Signatures.CLASSIFY_METHOD)) {
        result.setClassificationResult(ResultMessages.classifications(outputs));
      } else {
        result.setRegressionResult(ResultMessages.regressions(outputs));
      }
    }
    return message.build();
  }
}
