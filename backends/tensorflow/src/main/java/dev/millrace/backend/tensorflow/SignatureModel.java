package dev.millrace.backend.tensorflow;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Tensor;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.tensorflow.proto.TensorProto;

/** A session called by one of its signatures. The session is not its own. */
final class SignatureModel implements TensorModel {
  /**
   * Most choices of outputs that are run as such: for each the engine keeps a graph of its own, so
   * that clients must not make it keep any number. Further ones are taken from a run for all.
   */
  static final int MAX_FETCHES = 64;

  private final TfSession session;
  private final TensorFlowSignature signature;
  private final ModelMetadata metadata;
  private final long[] inputOperations;
  private final long[] outputOperations;

  /** For each input the value that it has when it is left out; null if it must not be. */
  private final List<@Nullable Tensor> defaults = new ArrayList<>();

  private final int[] allOutputs;
  private final Set<BitSet> fetches = ConcurrentHashMap.newKeySet();

  /**
   * A model over {@code session}.
   *
   * @throws InferenceException FAILED_PRECONDITION if the graph has no such tensors, or an output
   *     is an input
   */
  SignatureModel(TfSession session, TensorFlowSignature signature, ModelMetadata metadata) {
    this.session = session;
    this.signature = signature;
    this.metadata = metadata;
    requireSeparateOutputs(signature);
    this.inputOperations = operations(signature.inputs());
    this.outputOperations = operations(signature.outputs());
    this.allOutputs = new int[signature.outputs().size()];
    for (int i = 0; i < allOutputs.length; i++) {
      allOutputs[i] = i;
    }
    try {
      for (Endpoint input : signature.inputs()) {
        TensorProto value = signature.defaults().get(input.spec().name());
        defaults.add(value == null ? null : TensorProtos.tensor(value));
      }
    } catch (RuntimeException e) {
      free();
      throw e;
    }
  }

  private static void requireSeparateOutputs(TensorFlowSignature signature) {
    List<String> inputs = signature.inputs().stream().map(Endpoint::tensor).toList();
    for (Endpoint output : signature.outputs()) {
      if (inputs.contains(output.tensor())) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "signature '%s' returns its input '%s', which TensorFlow does not do"
                .formatted(signature.name(), output.tensor()));
      }
    }
  }

  private long[] operations(List<Endpoint> endpoints) {
    long[] operations = new long[endpoints.size()];
    for (int i = 0; i < operations.length; i++) {
      operations[i] = session.operation(endpoints.get(i));
      if (operations[i] == 0) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "signature '%s' names the tensor '%s', which the graph does not have"
                .formatted(signature.name(), endpoints.get(i).tensor()));
      }
    }
    return operations;
  }

  TfSession session() {
    return session;
  }

  TensorFlowSignature signature() {
    return signature;
  }

  long inputOperation(int index) {
    return inputOperations[index];
  }

  long outputOperation(int index) {
    return outputOperations[index];
  }

  /** The value of an input that is left out; still this model's. */
  @Nullable Tensor defaultOf(int input) {
    return defaults.get(input);
  }

  /**
   * Which outputs a run has to compute, in the signature's order, for what a client asks for.
   *
   * @throws InferenceException INVALID_ARGUMENT if one does not exist
   */
  int[] fetches(List<String> requested) {
    if (requested.isEmpty()) {
      return allOutputs;
    }
    BitSet wanted = new BitSet(allOutputs.length);
    for (int i = 0; i < requested.size(); i++) {
      wanted.set(indexOf(requested.get(i)));
    }
    if (!fetches.contains(wanted)) {
      if (fetches.size() >= MAX_FETCHES) {
        return allOutputs;
      }
      fetches.add(wanted);
    }
    return wanted.stream().toArray();
  }

  /**
   * The place of an output in the signature.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is none of that name
   */
  int indexOf(String output) {
    for (int i = 0; i < allOutputs.length; i++) {
      if (signature.outputs().get(i).spec().name().equals(output)) {
        return i;
      }
    }
    throw InferenceException.invalidArgument("the model has no output '%s'".formatted(output));
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public Predictor newPredictor() {
    return new TensorFlowPredictor(this);
  }

  /** Frees what the signature has beside the session. */
  void free() {
    for (Tensor value : defaults) {
      if (value != null) {
        value.close();
      }
    }
  }

  /** Nothing: the owner of the session frees it. */
  @Override
  public void close() {}
}
