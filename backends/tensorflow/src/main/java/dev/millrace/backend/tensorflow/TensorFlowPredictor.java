package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Predictor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Runs the session for one signature, with memory of its own for the arguments. */
final class TensorFlowPredictor implements Predictor {
  /** Bytes of a TF_Output: the address of an operation, and which of its outputs. */
  private static final long OUTPUT_SIZE = 16;

  private final SignatureModel model;
  private final List<Endpoint> inputs;
  private final List<Endpoint> outputs;

  private final TfStatus status = new TfStatus();
  private final TensorFlowTensors tensors;

  /** The inputs as TF_Output; they are the same in each run. */
  private final MemorySegment feeds;

  /** Arrays that are filled anew for each run. */
  private final MemorySegment feedValues;

  private final MemorySegment fetches;
  private final MemorySegment fetchValues;

  TensorFlowPredictor(SignatureModel model) {
    this.model = model;
    this.inputs = model.signature().inputs();
    this.outputs = model.signature().outputs();
    Arena arena = Arena.ofAuto(); // to close a shared one, every thread has to halt
    this.tensors = new TensorFlowTensors(arena);
    this.feeds = arena.allocate(Math.max(1, inputs.size()) * OUTPUT_SIZE, JAVA_LONG.byteSize());
    this.feedValues = arena.allocate(JAVA_LONG, Math.max(1, inputs.size()));
    this.fetches = arena.allocate(outputs.size() * OUTPUT_SIZE, JAVA_LONG.byteSize());
    this.fetchValues = arena.allocate(JAVA_LONG, outputs.size());
    for (int i = 0; i < inputs.size(); i++) {
      setOutput(feeds, i, model.inputOperation(i), inputs.get(i).index());
    }
  }

  private static void setOutput(MemorySegment array, int i, long operation, int index) {
    array.set(JAVA_LONG, i * OUTPUT_SIZE, operation);
    array.set(JAVA_INT, i * OUTPUT_SIZE + JAVA_LONG.byteSize(), index);
  }

  @Override
  public TensorMap predict(TensorMap given, List<String> requestedOutputs) {
    int[] fetched = model.fetches(requestedOutputs);
    feedValues.fill((byte) 0);
    fetchValues.fill((byte) 0);
    try {
      feed(given);
      for (int i = 0; i < fetched.length; i++) {
        setOutput(fetches, i, model.outputOperation(fetched[i]), outputs.get(fetched[i]).index());
      }
      TfApi.run(
          model.session().handle(),
          model.session().runOptions(),
          feeds.address(),
          feedValues.address(),
          inputs.size(),
          fetches.address(),
          fetchValues.address(),
          fetched.length,
          status.handle());
      status.check();
      return take(fetched, requestedOutputs);
    } catch (TfException e) {
      throw TensorFlowErrors.ofRun(e);
    } finally {
      closeAll(feedValues);
      closeAll(fetchValues);
    }
  }

  /** Copies every input of the signature, or its default, into the engine's memory. */
  private void feed(TensorMap given) {
    int found = 0;
    for (int i = 0; i < inputs.size(); i++) {
      String name = inputs.get(i).spec().name();
      Tensor tensor = given.get(name);
      if (tensor == null) {
        tensor = model.defaultOf(i);
      } else {
        found++;
      }
      if (tensor == null) {
        throw InferenceException.invalidArgument("input '%s' is missing".formatted(name));
      }
      feedValues.setAtIndex(JAVA_LONG, i, tensors.toEngine(name, tensor).handle());
    }
    if (found < given.size()) {
      throw unknownInput(given);
    }
  }

  private InferenceException unknownInput(TensorMap given) {
    List<String> known = inputs.stream().map(input -> input.spec().name()).toList();
    return InferenceException.invalidArgument(
        "the model has no input %s; it has %s"
            .formatted(
                given.names().stream().filter(name -> !known.contains(name)).toList(), known));
  }

  /** Moves what was computed into tensors: those asked for, in that order, else all. */
  private TensorMap take(int[] fetched, List<String> requested) {
    int count = requested.isEmpty() ? outputs.size() : requested.size();
    try (TensorMap.Builder result = TensorMap.builder()) {
      for (int i = 0; i < count; i++) {
        int output = requested.isEmpty() ? i : model.indexOf(requested.get(i));
        String name = outputs.get(output).spec().name();
        if (result.contains(name)) {
          throw InferenceException.invalidArgument(
              "output '%s' is asked for twice".formatted(name));
        }
        int place = java.util.Arrays.binarySearch(fetched, output);
        TfTensor value = new TfTensor(fetchValues.getAtIndex(JAVA_LONG, place));
        fetchValues.setAtIndex(JAVA_LONG, place, 0);
        result.put(name, TensorFlowTensors.fromEngine(name, value));
      }
      return result.build();
    }
  }

  private static void closeAll(MemorySegment values) {
    for (long i = 0; i < values.byteSize() / JAVA_LONG.byteSize(); i++) {
      long value = values.getAtIndex(JAVA_LONG, i);
      if (value != 0) {
        new TfTensor(value).close();
      }
    }
  }

  @Override
  public void close() {
    status.close();
  }
}
