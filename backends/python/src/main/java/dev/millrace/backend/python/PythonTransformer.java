package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A script with a class {@code Transformer} around a model of any engine, in processes of its own.
 *
 * <p>{@code preprocess} gets the rows of the request in a body, as the front end of V1 found them
 * or made from tensors; what it returns becomes the inputs that the model declares, or JSON texts
 * if it declares none. {@code postprocess} gets the outputs as rows. What clients may send is for
 * the script to say, so to them the model declares nothing.
 */
final class PythonTransformer implements Transformer {
  private final Scripts scripts;
  private final int calls;
  private volatile @Nullable WorkerPool pool;

  /**
   * A transformer whose processes are not started yet.
   *
   * @param scripts with a transformer and no predictor
   * @param calls how many requests it works on at the same time
   */
  PythonTransformer(Scripts scripts, int calls) {
    this.scripts = scripts;
    this.calls = calls;
  }

  /**
   * Starts the processes, around a model with these inputs; blocks.
   *
   * @throws InferenceException FAILED_PRECONDITION with the reason if they cannot be
   */
  void start(List<TensorSpec> inner) {
    pool = WorkerPool.start(scripts.spec(calls, 1, inner));
  }

  private WorkerPool pool() {
    WorkerPool started = pool;
    if (started == null) {
      throw new InferenceException(ErrorCode.UNAVAILABLE, "the transformer is not started");
    }
    return started;
  }

  @Override
  public String name() {
    return "python";
  }

  @Override
  public boolean mayBlock() {
    return true;
  }

  @Override
  public InferenceRequest preprocess(InferenceRequest request) {
    TensorMap made = pool().call(Verb.PREPROCESS, request.inputs(), request.parameters());
    InferenceRequest next = request.withInputs(made);
    request.close();
    return next;
  }

  @Override
  public InferenceResponse postprocess(InferenceRequest request, InferenceResponse response) {
    TensorMap made = pool().call(Verb.POSTPROCESS, response.outputs(), request.parameters());
    InferenceResponse next = response.withOutputs(made);
    response.close();
    return next;
  }

  @Override
  public void close() {
    WorkerPool started = pool;
    if (started != null) {
      started.close();
    }
  }
}
