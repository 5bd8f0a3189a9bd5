package dev.millrace.backend.tensorflow;

import com.google.protobuf.ByteString;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the requests that a SavedModel brings for its warm-up, in the file and with the meaning that
 * TensorFlow Serving gives them: a request that fails, fails the model.
 */
final class WarmUpRequests {
  static final Path FILE = Path.of("assets.extra", "tf_serving_warmup_requests");

  /** As many as TensorFlow Serving runs. */
  private static final int MAX_RECORDS = 1000;

  private static final Logger LOG = LoggerFactory.getLogger(WarmUpRequests.class);

  private final Map<String, SignatureModel> signatures;
  private final String main;

  private WarmUpRequests(Map<String, SignatureModel> signatures, String main) {
    this.signatures = signatures;
    this.main = main;
  }

  /**
   * Runs them, if the file is there.
   *
   * @param main the signature for requests that name none
   * @throws InferenceException FAILED_PRECONDITION if the file is broken or a request fails
   */
  static void run(ModelSource source, Map<String, SignatureModel> signatures, String main) {
    Path file = source.path().resolve(FILE);
    if (!Files.isRegularFile(file)) {
      return;
    }
    WarmUpRequests requests = new WarmUpRequests(signatures, main);
    int record = 0;
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      TfRecords records = new TfRecords(in, Files.size(file));
      for (record = 1; record <= MAX_RECORDS; record++) {
        byte[] bytes = records.next();
        if (bytes == null) {
          break;
        }
        requests.run(PredictionLog.parse(bytes));
      }
      LOG.debug("{}: ran {} requests of {}", source.id(), record - 1, FILE);
    } catch (IOException | InferenceException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: request %d: %s".formatted(file, record, e.getMessage()),
          e);
    }
  }

  private void run(PredictionLog log) {
    switch (log.kind()) {
      case PREDICT -> {
        try (TensorMap.Builder inputs = TensorMap.builder()) {
          log.inputs().forEach((name, tensor) -> inputs.put(name, TensorProtos.tensor(tensor)));
          run(signature(log), inputs.build(), log.outputs());
        }
      }
      case EXAMPLES -> {
        SignatureModel signature = signature(log);
        String input = signature.signature().inputs().getFirst().spec().name();
        List<byte[]> examples = log.examples().stream().map(ByteString::toByteArray).toList();
        run(
            signature,
            TensorMap.of(input, Tensor.copyOf(Shape.of(examples.size()), examples)),
            List.of());
      }
      case OTHER -> LOG.debug("a request that is neither for tensors nor for examples: not run");
    }
  }

  private SignatureModel signature(PredictionLog log) {
    String name = log.signature().isEmpty() ? main : log.signature();
    SignatureModel signature = signatures.get(name);
    if (signature == null) {
      throw InferenceException.invalidArgument(
          "there is no signature '%s'; there are %s".formatted(name, signatures.keySet()));
    }
    return signature;
  }

  private static void run(SignatureModel signature, TensorMap inputs, List<String> outputs) {
    try (inputs;
        Predictor predictor = signature.newPredictor()) {
      predictor.predict(inputs, outputs).close();
    }
  }
}
