package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** One session, which all predictors run: the weights are there once. */
final class OnnxModel implements TensorModel {
  private final OrtSession session;
  private final ModelMetadata metadata;
  private final OnnxSignature signature;

  /** The addresses of the names as C strings, which live as long as this array. */
  private final MemorySegment inputNames;

  private final MemorySegment outputNames;

  /** A model over {@code session}, which it takes over. */
  OnnxModel(OrtSession session, ModelMetadata metadata, OnnxSignature signature) {
    this.session = session;
    this.metadata = metadata;
    this.signature = signature;
    Arena arena = Arena.ofAuto(); // to close a shared one, every thread has to halt
    this.inputNames = OrtMemory.texts(arena, names(metadata.inputs()));
    this.outputNames = OrtMemory.texts(arena, names(metadata.outputs()));
  }

  private static List<String> names(List<TensorSpec> specs) {
    return specs.stream().map(TensorSpec::name).toList();
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public Predictor newPredictor() {
    return new OnnxPredictor(this);
  }

  long session() {
    return session.handle();
  }

  /** The address of the C string with the name of an input. */
  long inputName(int index) {
    return inputNames.getAtIndex(JAVA_LONG, index);
  }

  /** The address of the C string with the name of an output. */
  long outputName(int index) {
    return outputNames.getAtIndex(JAVA_LONG, index);
  }

  /** Whether the engine gives a list of maps for an output. */
  boolean isListOfMaps(int output) {
    return signature.listsOfMaps().get(output);
  }

  OnnxSignature signature() {
    return signature;
  }

  @Override
  public void close() {
    session.close();
  }
}
