package dev.millrace.backend.pytorch;

import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValue;
import ai.djl.pytorch.jni.IValueUtils;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import java.lang.ref.Reference;
import java.util.List;

/** Runs the model's module on the calling thread; keeps nothing between runs. */
final class PyTorchPredictor implements Predictor {
  private final PtSymbolBlock module;
  private final ScriptInputs inputs;
  private final ScriptOutputs outputs;
  private final PyTorchModel.Execution execution;

  PyTorchPredictor(
      PtSymbolBlock module,
      ScriptInputs inputs,
      ScriptOutputs outputs,
      PyTorchModel.Execution execution) {
    this.module = module;
    this.inputs = inputs;
    this.outputs = outputs;
    this.execution = execution;
  }

  @Override
  public TensorMap predict(TensorMap tensors, List<String> requestedOutputs) {
    int[] order = inputs.order(tensors);
    PyTorchEngine.prepareThread(execution.threads(), execution.optimized());
    IValue[] arguments = new IValue[order.length];
    int made = 0;
    try (PyTorchEngine.Scope scope = PyTorchEngine.newScope(execution.device())) {
      for (; made < order.length; made++) {
        int index = order[made];
        if (execution.divides()) {
          PyTorchTensors.requireDivisible(tensors.name(index), tensors.tensor(index));
        }
        arguments[made] =
            PyTorchTensors.toEngine(
                tensors.name(index), tensors.tensor(index), execution.shared(), scope);
      }
      if (execution.exclusive()) {
        synchronized (module) {
          return run(arguments, tensors, requestedOutputs);
        }
      }
      return run(arguments, tensors, requestedOutputs);
    } catch (RuntimeException e) {
      throw PyTorchErrors.ofRun(e);
    } finally {
      for (int i = 0; i < made; i++) {
        arguments[i].close();
      }
      Reference.reachabilityFence(tensors);
    }
  }

  private TensorMap run(IValue[] arguments, TensorMap tensors, List<String> requestedOutputs) {
    try (IValue result = IValueUtils.runMethod(module, "forward", arguments)) {
      return outputs.take(result, tensors, requestedOutputs);
    }
  }

  /** Has nothing to free. */
  @Override
  public void close() {}
}
