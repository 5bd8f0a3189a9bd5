package dev.millrace.runtime;

import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.Ticker;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Checks requests against what a model declares, for all protocols. The messages are those that
 * Triton's clients know. Allocates nothing for a request that is right. Thread-safe.
 */
final class RequestValidator {
  /** Of the time that a request has, its way may take one part in so many. */
  private static final int LARGEST_WAY = 4;

  private final String model;
  private final TensorSpec[] inputs;
  private final TensorSpec[] outputs;
  private final int required;
  private final int maxBatchSize;

  RequestValidator(ModelMetadata metadata) {
    this.model = metadata.id().name();
    this.inputs = metadata.inputs().toArray(TensorSpec[]::new);
    this.outputs = metadata.outputs().toArray(TensorSpec[]::new);
    this.required = (int) metadata.inputs().stream().filter(spec -> !spec.optional()).count();
    this.maxBatchSize = metadata.maxBatchSize();
  }

  /**
   * Checks that every input is declared, every required one is there, datatypes and shapes fit, the
   * batch dimensions agree, and the requested outputs exist. A model that declares no inputs takes
   * any, and one that declares no outputs gives any.
   *
   * @throws InferenceException INVALID_ARGUMENT
   */
  void validate(InferenceRequest request) {
    TensorMap tensors = request.inputs();
    if (inputs.length > 0) {
      int present = 0;
      for (int i = 0; i < tensors.size(); i++) {
        TensorSpec spec = find(inputs, tensors.name(i));
        if (spec == null) {
          throw bad(
              request,
              "unexpected inference input '%s' for model '%s'".formatted(tensors.name(i), model));
        }
        present += spec.optional() ? 0 : 1;
      }
      if (present < required) {
        throw missingInputs(request);
      }
      for (int i = 0; i < tensors.size(); i++) {
        checkTensor(request, tensors.name(i), tensors.tensor(i));
      }
    }
    if (maxBatchSize > 0) {
      checkBatchDimensions(request, tensors);
    }
    checkOutputs(request);
  }

  private static @Nullable TensorSpec find(TensorSpec[] specs, String name) {
    for (TensorSpec spec : specs) {
      if (spec.name().equals(name)) {
        return spec;
      }
    }
    return null;
  }

  private void checkTensor(InferenceRequest request, String name, Tensor tensor) {
    TensorSpec spec = find(inputs, name);
    if (spec == null) {
      return;
    }
    if (tensor.dataType() != spec.dataType()) {
      throw bad(
          request,
          "inference input '%s' data-type is '%s', but model '%s' expects '%s'"
              .formatted(name, tensor.dataType(), model, spec.dataType()));
    }
    if (!spec.shape().accepts(tensor.shape())) {
      throw bad(
          request,
          "unexpected shape for input '%s' for model '%s'. Expected %s, got %s.%s"
              .formatted(
                  name,
                  model,
                  spec.shape(),
                  tensor.shape(),
                  maxBatchSize > 0 ? " NOTE: the first dimension is the batch dimension." : ""));
    }
  }

  private void checkBatchDimensions(InferenceRequest request, TensorMap tensors) {
    long rows = -1;
    for (int i = 0; i < tensors.size(); i++) {
      Shape shape = tensors.tensor(i).shape();
      if (shape.rank() == 0) {
        throw bad(
            request,
            "input '%s' for model '%s' has no batch dimension".formatted(tensors.name(i), model));
      }
      if (rows >= 0 && shape.dim(0) != rows) {
        throw bad(
            request,
            "input '%s' batch size does not match other inputs for '%s'"
                .formatted(tensors.name(i), model));
      }
      rows = shape.dim(0);
    }
  }

  private void checkOutputs(InferenceRequest request) {
    List<String> requested = request.requestedOutputs();
    if (outputs.length == 0) {
      return;
    }
    for (int i = 0; i < requested.size(); i++) {
      if (find(outputs, requested.get(i)) == null) {
        throw bad(
            request,
            "unexpected inference output '%s' for model '%s'".formatted(requested.get(i), model));
      }
    }
  }

  private InferenceException missingInputs(InferenceRequest request) {
    List<String> missing = new ArrayList<>();
    for (TensorSpec spec : inputs) {
      if (!spec.optional() && request.inputs().get(spec.name()) == null) {
        missing.add(spec.name());
      }
    }
    String expected =
        required == inputs.length
            ? "expected %d inputs".formatted(required)
            : "expected number of inputs between %d and %d".formatted(required, inputs.length);
    return bad(
        request,
        ("%s but got %d inputs for model '%s'. Got input(s) [%s], but missing required input(s)"
                + " [%s]. Please provide all required input(s).")
            .formatted(
                expected,
                request.inputs().size(),
                model,
                quoted(request.inputs().names()),
                quoted(missing)));
  }

  private static String quoted(List<String> names) {
    return names.stream().map(name -> "'" + name + "'").collect(Collectors.joining(","));
  }

  private static InferenceException bad(InferenceRequest request, String message) {
    return InferenceException.invalidArgument(
        "[request id: %s] %s"
            .formatted(request.id().isEmpty() ? "<id_unknown>" : request.id(), message));
  }

  /**
   * The request's parameter {@code priority}: from 1, which is served first; 0 if it names none.
   *
   * @throws InferenceException INVALID_ARGUMENT if it is negative
   */
  static long priority(InferenceRequest request) {
    long priority =
        request.parameters().isEmpty() ? 0 : request.parameters().integer("priority").orElse(0L);
    if (priority < 0) {
      throw bad(request, "parameter 'priority' must not be negative, got " + priority);
    }
    return priority;
  }

  /**
   * The request with the deadline that it will be held to: the earlier of its own and its parameter
   * {@code timeout} (in microseconds, 0 for none), else the model's default. Less the time that the
   * front end needs for the request and its answer, a quarter of what is left at most: what is
   * answered in time shall arrive in time.
   *
   * @throws InferenceException INVALID_ARGUMENT if the parameter is not a whole number
   */
  static InferenceRequest withDeadline(
      InferenceRequest request,
      Optional<Duration> defaultTimeout,
      FrontEnd frontEnd,
      Ticker ticker) {
    long micros =
        request.parameters().isEmpty() ? 0 : request.parameters().integer("timeout").orElse(0L);
    if (micros < 0) {
      throw bad(request, "parameter 'timeout' must not be negative, got " + micros);
    }
    Deadline deadline = request.deadline();
    if (micros > 0) {
      Deadline asked = Deadline.after(Duration.of(micros, ChronoUnit.MICROS), ticker);
      if (deadline.isNone() || (!asked.isNone() && asked.nanos() - deadline.nanos() < 0)) {
        deadline = asked;
      }
    } else if (deadline.isNone() && defaultTimeout.isPresent()) {
      deadline = Deadline.after(defaultTimeout.get(), ticker);
    }
    long way = deadline.isNone() ? 0 : frontEnd.wayNanos();
    if (way > 0) {
      long left = Math.max(0, deadline.remaining(ticker.nanos()));
      deadline = new Deadline(deadline.nanos() - Math.min(way, left / LARGEST_WAY));
    }
    return deadline.equals(request.deadline()) ? request : request.withDeadline(deadline);
  }
}
