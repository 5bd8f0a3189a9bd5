package dev.millrace.backend.pytorch;

import ai.djl.Device;
import ai.djl.pytorch.engine.PtSymbolBlock;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;

/** One module, which all predictors run: the weights are there once. */
final class PyTorchModel implements TensorModel {
  private final PyTorchEngine.Scope scope;
  private final PtSymbolBlock module;
  private final ModelMetadata metadata;
  private final ScriptInputs inputs;
  private final ScriptOutputs outputs;
  private final Execution execution;

  /**
   * How the module runs.
   *
   * @param device where it runs, and its inputs are put
   * @param threads how many threads one operator may use, the caller's included
   * @param optimized whether scripts are rewritten for the shapes that they are run with
   * @param shared whether the engine may read inputs where they are
   * @param exclusive whether one run must end before the next begins
   * @param divides whether the module may divide whole numbers
   */
  record Execution(
      Device device,
      int threads,
      boolean optimized,
      boolean shared,
      boolean exclusive,
      boolean divides) {}

  /** A model over a module of {@code scope}, which it takes over. */
  PyTorchModel(
      PyTorchEngine.Scope scope,
      PtSymbolBlock module,
      ModelMetadata metadata,
      ScriptInputs inputs,
      ScriptOutputs outputs,
      Execution execution) {
    this.scope = scope;
    this.module = module;
    this.metadata = metadata;
    this.inputs = inputs;
    this.outputs = outputs;
    this.execution = execution;
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public Predictor newPredictor() {
    return new PyTorchPredictor(module, inputs, outputs, execution);
  }

  @Override
  public void close() {
    scope.close();
  }
}
