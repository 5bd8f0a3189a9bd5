package dev.millrace.backend.onnx;

import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.NvidiaDriver;
import dev.millrace.api.spi.Servable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads ONNX models into ONNX Runtime.
 *
 * <p>All predictors of a model on one device share one session, so its weights are there once. A
 * run uses the calling thread and as many more as {@link ModelSource#threads()} says.
 */
public final class OnnxBackend implements Backend {
  private static final Logger LOG = LoggerFactory.getLogger(OnnxBackend.class);
  private static final String EXTENSION = ".onnx";
  private static final String USUAL_NAME = "model.onnx";

  /** Most rows at once of a model that takes any number of them. */
  static final int MAX_BATCH_SIZE = 64;

  /** A new backend; the service loader calls it. */
  public OnnxBackend() {}

  @Override
  public String name() {
    return "onnx";
  }

  @Override
  public String modelFiles() {
    return "*" + EXTENSION;
  }

  @Override
  public Optional<Path> findModel(Path path) {
    if (!Files.isDirectory(path)) {
      return Optional.of(path).filter(OnnxBackend::isModel);
    }
    List<Path> models;
    try (Stream<Path> files = Files.list(path)) {
      models =
          files
              .filter(OnnxBackend::isModel)
              .map(OnnxBackend::inDirectory)
              .filter(Files::isRegularFile)
              .sorted()
              .toList();
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "%s cannot be read: %s".formatted(path, e), e);
    }
    if (models.size() <= 1) {
      return models.stream().findFirst();
    }
    Path usual = path.resolve(USUAL_NAME);
    if (models.contains(usual)) {
      return Optional.of(usual);
    }
    throw new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s has several models and none is called %s: %s"
            .formatted(path, USUAL_NAME, models.stream().map(Path::getFileName).limit(5).toList()));
  }

  /** The file of a model that has a directory for its weights, as Triton lays it out. */
  private static Path inDirectory(Path model) {
    return Files.isDirectory(model) ? model.resolve(USUAL_NAME) : model;
  }

  private static boolean isModel(Path path) {
    Path name = path.getFileName();
    return name != null && name.toString().endsWith(EXTENSION);
  }

  /**
   * The GPUs of CUDA's provider, and the CPU. Loads the engine to ask it, unless this machine has
   * no GPU.
   */
  @Override
  public List<Device> devices() {
    NvidiaDriver driver = NvidiaDriver.ofThisMachine();
    return driver.gpus() == 0 ? List.of(Device.CPU) : OnnxGpus.devices(gpuSupport(), driver);
  }

  /** Loads the engine to ask it. */
  @Override
  public GpuSupport gpuSupport() {
    try {
      return OnnxGpus.support();
    } catch (LinkageError e) {
      LOG.debug("ONNX Runtime's devices are not known", e);
      return new GpuSupport.None("its ONNX Runtime cannot be used here: " + cause(e).getMessage());
    }
  }

  @Override
  public Servable load(ModelSource source) {
    requireEngine();
    requireSupport(source);
    OnnxSettings settings =
        OnnxSettings.read(
            source.settings(), defaultProvider(source.device()), OrtEnvironment.PROVIDERS);
    requireProviderOf(source.device(), settings.provider(), source);
    OnnxFile.check(source.path());
    OrtSession session = open(source, settings);
    try {
      OnnxSignature signature = OnnxSignature.of(session.inputs(), session.outputs());
      if (!signature.leftOut().isEmpty()) {
        LOG.warn(
            "{}: outputs {} are not tensors and are not served", source.id(), signature.leftOut());
      }
      return new OnnxModel(session, metadata(source, settings, session, signature), signature);
    } catch (RuntimeException e) {
      session.close();
      throw e;
    }
  }

  /** The engine is loaded when the first class that calls it is. */
  private static void requireEngine() {
    try {
      LOG.debug("ONNX Runtime {} with {}", OrtApi.version(), OrtEnvironment.PROVIDERS);
    } catch (LinkageError e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "ONNX Runtime cannot be used here: " + cause(e).getMessage(),
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

  private static void requireSupport(ModelSource source) {
    if (source.device().kind() == Device.Kind.GPU
        && OnnxGpus.support() instanceof GpuSupport.None(String reason)) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s cannot run on %s: %s".formatted(source.id(), source.device(), reason));
    }
  }

  /** Refuses a provider that computes elsewhere than where the model is placed. */
  private static void requireProviderOf(Device device, String provider, ModelSource source) {
    boolean wrong =
        switch (device.kind()) {
          case CPU -> provider.equals(OnnxGpus.CUDA);
          case GPU -> provider.equals(OnnxSettings.CPU);
        };
    if (wrong) {
      throw source
          .settings()
          .bad(
              "execution-provider",
              OnnxSettings.shortName(provider),
              "one for %s, where the model is placed by its 'device'".formatted(device));
    }
  }

  private static String defaultProvider(Device device) {
    return switch (device.kind()) {
      case CPU -> OnnxSettings.CPU;
      case GPU -> OnnxGpus.CUDA;
    };
  }

  private static OrtSession open(ModelSource source, OnnxSettings settings) {
    try (OrtSessionOptions options =
        new OrtSessionOptions(
            source.id().toString(), source.threads(), source.device().index(), settings)) {
      return OrtSession.open(source.path(), options);
    } catch (OrtException e) {
      throw OnnxErrors.ofLoad(source.path(), e);
    }
  }

  private static ModelMetadata metadata(
      ModelSource source, OnnxSettings settings, OrtSession session, OnnxSignature signature) {
    Map<String, String> properties = new LinkedHashMap<>(session.properties());
    properties.put("execution-provider", OnnxSettings.shortName(settings.provider()));
    properties.put("onnxruntime", OrtApi.version());
    return new ModelMetadata(
        source.id(),
        "onnxruntime_onnx",
        signature.inputs(),
        signature.outputs(),
        signature.batchable() ? MAX_BATCH_SIZE : 0,
        properties);
  }
}
