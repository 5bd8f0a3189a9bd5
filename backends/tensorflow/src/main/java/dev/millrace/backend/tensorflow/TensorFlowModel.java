package dev.millrace.backend.tensorflow;

import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** A session, which all predictors of all signatures run: the weights are there once. */
final class TensorFlowModel implements TensorModel {
  private final TfSession session;
  private final Map<String, SignatureModel> signatures;
  private final SignatureModel main;
  private final ModelMetadata metadata;

  /**
   * A model over {@code session}, which it takes over.
   *
   * @param main the one of the signatures that the model is called by
   */
  TensorFlowModel(
      TfSession session,
      Map<String, SignatureModel> signatures,
      SignatureModel main,
      ModelMetadata metadata) {
    this.session = session;
    this.signatures = Collections.unmodifiableMap(new LinkedHashMap<>(signatures));
    this.main = main;
    this.metadata = metadata;
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public Predictor newPredictor() {
    return main.newPredictor();
  }

  @Override
  public Map<String, TensorModel> signatures() {
    return Collections.unmodifiableMap(signatures);
  }

  @Override
  public void close() {
    signatures.values().forEach(SignatureModel::free);
    session.close();
  }
}
