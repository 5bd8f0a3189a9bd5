package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Predictor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.List;

/** Runs the model's session with memory of its own for the arguments. */
final class OnnxPredictor implements Predictor {
  private final OnnxModel model;
  private final List<TensorSpec> inputSpecs;
  private final List<TensorSpec> outputSpecs;
  private final long runOptions;

  /** Whether the engine was told to end a run, which it would go on to do with every other. */
  private volatile boolean terminated;

  private final OnnxTensors tensors;

  /** Arrays of pointers, filled anew for each run. */
  private final MemorySegment inputNames;

  private final MemorySegment inputValues;
  private final MemorySegment outputNames;
  private final MemorySegment outputValues;

  OnnxPredictor(OnnxModel model) {
    this.model = model;
    this.inputSpecs = model.metadata().inputs();
    this.outputSpecs = model.metadata().outputs();
    Arena arena = Arena.ofAuto(); // to close a shared one, every thread has to halt
    this.tensors = new OnnxTensors(arena, inputSpecs.size());
    this.inputNames = arena.allocate(JAVA_LONG, Math.max(1, inputSpecs.size()));
    this.inputValues = arena.allocate(JAVA_LONG, Math.max(1, inputSpecs.size()));
    this.outputNames = arena.allocate(JAVA_LONG, outputSpecs.size());
    this.outputValues = arena.allocate(JAVA_LONG, outputSpecs.size());
    this.runOptions = OrtApi.get(OrtApi.CREATE_RUN_OPTIONS);
    // A run that fails is an answer to its client; the engine would log it, too.
    OrtApi.call(OrtApi.RUN_OPTIONS_SET_LOG_SEVERITY, runOptions, OrtLog.FATAL);
  }

  @Override
  public TensorMap predict(TensorMap inputs, List<String> requestedOutputs) {
    if (terminated) {
      terminated = false;
      OrtApi.call(OrtApi.RUN_OPTIONS_UNSET_TERMINATE, runOptions);
    }
    int outputs = requestedOutputs.isEmpty() ? outputSpecs.size() : requestedOutputs.size();
    inputValues.fill((byte) 0);
    outputValues.fill((byte) 0);
    try (TensorMap.Builder result = TensorMap.builder()) {
      for (int i = 0; i < inputs.size(); i++) {
        inputNames.setAtIndex(JAVA_LONG, i, model.inputName(indexOf(inputSpecs, inputs.name(i))));
        inputValues.setAtIndex(JAVA_LONG, i, tensors.toEngine(i, inputs.tensor(i)));
      }
      for (int i = 0; i < outputs; i++) {
        outputNames.setAtIndex(JAVA_LONG, i, model.outputName(output(requestedOutputs, i)));
      }
      OrtApi.call(
          OrtApi.RUN,
          model.session(),
          runOptions,
          inputNames.address(),
          inputValues.address(),
          inputs.size(),
          outputNames.address(),
          outputs,
          outputValues.address());
      for (int i = 0; i < outputs; i++) {
        int index = output(requestedOutputs, i);
        result.put(outputSpecs.get(index).name(), takeOutput(i, index, inputs.size()));
      }
      return result.build();
    } catch (OrtException e) {
      throw OnnxErrors.ofRun(e, model.signature().contradiction(inputs));
    } finally {
      releaseAll(inputValues);
      releaseAll(outputValues);
      Reference.reachabilityFence(inputs);
    }
  }

  /** Which of the model's outputs is the {@code i}th of this run. */
  private int output(List<String> requestedOutputs, int i) {
    return requestedOutputs.isEmpty() ? i : indexOf(outputSpecs, requestedOutputs.get(i));
  }

  private static int indexOf(List<TensorSpec> specs, String name) {
    for (int i = 0; i < specs.size(); i++) {
      if (specs.get(i).name().equals(name)) {
        return i;
      }
    }
    throw InferenceException.invalidArgument("the model has no tensor '%s'".formatted(name));
  }

  /** Moves the {@code i}th value of this run into a tensor. */
  private Tensor takeOutput(int i, int index, int inputs) {
    OrtValue value = new OrtValue(outputValues.getAtIndex(JAVA_LONG, i));
    if (value.handle() == 0) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "output '%s' has no value".formatted(outputSpecs.get(index).name()));
    }
    if (model.isListOfMaps(index)) {
      return tensors.fromListOfMaps(value);
    }
    Tensor tensor = tensors.fromEngine(value, inputs);
    outputValues.setAtIndex(JAVA_LONG, i, 0);
    return tensor;
  }

  private static void releaseAll(MemorySegment values) {
    for (long i = 0; i < values.byteSize() / JAVA_LONG.byteSize(); i++) {
      long value = values.getAtIndex(JAVA_LONG, i);
      if (value != 0) {
        OrtApi.release(OrtApi.RELEASE_VALUE, value);
      }
    }
  }

  /** Ends the run after the operator that it is at. */
  @Override
  public void abandon() {
    OrtApi.call(OrtApi.RUN_OPTIONS_SET_TERMINATE, runOptions);
    terminated = true;
  }

  @Override
  public void close() {
    OrtApi.release(OrtApi.RELEASE_RUN_OPTIONS, runOptions);
  }
}
