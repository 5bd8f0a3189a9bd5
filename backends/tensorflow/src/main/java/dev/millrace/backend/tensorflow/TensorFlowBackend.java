package dev.millrace.backend.tensorflow;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.NvidiaDriver;
import dev.millrace.api.spi.Servable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.tensorflow.proto.SignatureDef;

/**
 * Loads SavedModels into TensorFlow.
 *
 * <p>All predictors of a model on one device share one session, so its variables are there once. A
 * run uses the calling thread and as many more as {@link ModelSource#threads()} says.
 */
public final class TensorFlowBackend implements Backend {
  private static final Logger LOG = LoggerFactory.getLogger(TensorFlowBackend.class);

  /** The signature that exporters give to a model that has only one use. */
  private static final String DEFAULT_SIGNATURE = "serving_default";

  /** A new backend; the service loader calls it. Does not load the engine. */
  public TensorFlowBackend() {}

  @Override
  public String name() {
    return "tensorflow";
  }

  @Override
  public String modelFiles() {
    return SavedModelDirectory.FILE_NAME;
  }

  @Override
  public Optional<Path> findModel(Path path) {
    if (Files.isDirectory(path)) {
      return Stream.of(path, path.resolve(SavedModelDirectory.TRITON_NAME))
          .filter(Files::isDirectory)
          .filter(SavedModelDirectory::isIn)
          .findFirst();
    }
    boolean isGraph = String.valueOf(path.getFileName()).equals(SavedModelDirectory.FILE_NAME);
    return isGraph ? Optional.ofNullable(path.toAbsolutePath().getParent()) : Optional.empty();
  }

  /**
   * The GPUs, if there are any and this build of the engine can use them, and the CPU.
   *
   * <p>Loads the engine to ask it, unless this machine has no GPU.
   */
  @Override
  public List<Device> devices() {
    return TfDevices.devices(gpus());
  }

  private static int gpus() {
    try {
      return TfDevices.gpus();
    } catch (LinkageError | TfException e) {
      LOG.debug("TensorFlow's devices are not known", e);
      return 0;
    }
  }

  /** Loads the engine to ask it. */
  @Override
  public GpuSupport gpuSupport() {
    try {
      return TfDevices.support(
          TfDevices.isBuiltForGpus(), NvidiaDriver.ofThisMachine(), TensorFlowBackend::gpus);
    } catch (LinkageError e) {
      return new GpuSupport.None("its TensorFlow cannot be used here: " + cause(e).getMessage());
    }
  }

  @Override
  public Servable load(ModelSource source) {
    TensorFlowSettings settings = TensorFlowSettings.read(source.settings());
    MetaGraph graph = new SavedModelDirectory(source.path()).graph(settings.tags());
    Map<String, TensorFlowSignature> signatures = signatures(source, graph);
    String main = mainSignature(source, settings, graph, signatures);
    requireEngine();
    TfSession session = open(source, settings);
    Map<String, SignatureModel> models = new LinkedHashMap<>();
    try {
      signatures.forEach((name, signature) -> {
        try {
          models.put(
              name,
              new SignatureModel(
                  session, signature, new SignatureMetadata(source, graph, signature).own()));
        } catch (InferenceException e) {
          if (name.equals(main)) {
            throw new InferenceException(
                e.code(), "%s: %s".formatted(source.path(), e.getMessage()), e);
          }
          LOG.warn("{}: {}, so it is not served", source.id(), e.getMessage());
        }
      });
      SignatureModel mainModel = requireNonNull(models.get(main));
      ModelMetadata metadata =
          new SignatureMetadata(source, graph, mainModel.signature()).ofModel(models.keySet());
      if (settings.warmUpRequests()) {
        WarmUpRequests.run(source, models, main);
      }
      return new TensorFlowModel(session, models, mainModel, metadata);
    } catch (RuntimeException e) {
      models.values().forEach(SignatureModel::free);
      session.close();
      throw e;
    }
  }

  private static TfSession open(ModelSource source, TensorFlowSettings settings) {
    SessionConfig config = SessionConfig.of(source, settings);
    try {
      if (source.device().kind() == Device.Kind.CPU || source.device().index() == 0) {
        return TfSession.open(source.path(), settings.tags(), config);
      }
      try (PlacedSavedModel placed = PlacedSavedModel.of(source.path(), source.device().index())) {
        return TfSession.open(placed.directory(), settings.tags(), config);
      }
    } catch (TfException e) {
      throw TensorFlowErrors.ofLoad(source.path(), e);
    }
  }

  /** The signatures that can be served; the others are reported, if one is left. */
  private static Map<String, TensorFlowSignature> signatures(ModelSource source, MetaGraph graph) {
    Map<String, TensorFlowSignature> signatures = new LinkedHashMap<>();
    InferenceException failure = null;
    for (Map.Entry<String, SignatureDef> entry : graph.signatures().entrySet()) {
      try {
        TensorFlowSignature signature = TensorFlowSignature.of(entry.getKey(), entry.getValue());
        if (!signature.leftOut().isEmpty()) {
          LOG.warn(
              "{}: outputs {} of signature '{}' are not tensors and are not served",
              source.id(),
              signature.leftOut(),
              signature.name());
        }
        signatures.put(entry.getKey(), signature);
      } catch (InferenceException e) {
        LOG.warn("{}: {}, so it is not served", source.id(), e.getMessage());
        failure = e;
      }
    }
    if (signatures.isEmpty() && failure != null) {
      throw new InferenceException(
          failure.code(), "%s: %s".formatted(source.path(), failure.getMessage()), failure);
    }
    if (signatures.isEmpty()) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: the graph has no signature; export the model with one".formatted(source.path()));
    }
    return signatures;
  }

  /** The name of the signature that the model is called by. */
  private static String mainSignature(
      ModelSource source,
      TensorFlowSettings settings,
      MetaGraph graph,
      Map<String, TensorFlowSignature> signatures) {
    if (settings.signature().isPresent()) {
      String wanted = settings.signature().get();
      if (!signatures.containsKey(wanted)) {
        throw source
            .settings()
            .bad("signature", wanted, "one of " + String.join(", ", signatures.keySet()));
      }
      return wanted;
    }
    if (signatures.containsKey(DEFAULT_SIGNATURE)) {
      return DEFAULT_SIGNATURE;
    }
    if (signatures.size() == 1 && !graph.signatures().containsKey(DEFAULT_SIGNATURE)) {
      return signatures.keySet().iterator().next();
    }
    throw new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s: none of the signatures that can be served is called '%s'; choose one in model.yaml, as in 'tensorflow: {signature: %s}', out of %s"
            .formatted(
                source.path(),
                DEFAULT_SIGNATURE,
                signatures.keySet().iterator().next(),
                signatures.keySet()));
  }

  /** The engine is loaded when the first class that calls it is. */
  private static void requireEngine() {
    try {
      LOG.debug("TensorFlow {}", TfApi.version());
    } catch (LinkageError e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "TensorFlow cannot be used here: " + cause(e).getMessage(),
          e);
    }
  }

  private static Throwable cause(LinkageError e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause;
  }
}
