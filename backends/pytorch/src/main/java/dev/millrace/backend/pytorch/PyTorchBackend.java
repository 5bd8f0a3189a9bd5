package dev.millrace.backend.pytorch;

import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.JniUtils;
import dev.millrace.api.Device;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.NvidiaDriver;
import dev.millrace.api.spi.Servable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads TorchScript models into PyTorch.
 *
 * <p>All predictors of a model on one device share one module, so its weights are there once; a
 * script that changes its module runs in one of them at a time. A run uses the calling thread and
 * as many more as {@link ModelSource#threads()} says. The engine itself is loaded with the first
 * model.
 *
 * <p>A script does not say what datatypes and shapes it takes. They are what the configuration
 * declares, else what the script was traced with; of one that was not traced, the metadata list no
 * inputs, any tensors of the right names are given to it, and what it does not take is the client's
 * error.
 */
public final class PyTorchBackend implements Backend {
  private static final Logger LOG = LoggerFactory.getLogger(PyTorchBackend.class);
  private static final List<String> EXTENSIONS = List.of(".pt", ".pth", ".torchscript");
  private static final String USUAL_NAME = "model.pt";

  /** Most rows at once of a model that takes any number of them. */
  static final int MAX_BATCH_SIZE = 64;

  /** A new backend; the service loader calls it. */
  public PyTorchBackend() {}

  @Override
  public String name() {
    return "pytorch";
  }

  @Override
  public String modelFiles() {
    return "*.pt, *.pth, *.torchscript";
  }

  @Override
  public boolean takesDeclarations() {
    return true;
  }

  @Override
  public Optional<Path> findModel(Path path) {
    if (!Files.isDirectory(path)) {
      return Optional.of(path).filter(PyTorchBackend::isModel);
    }
    List<Path> models;
    try (Stream<Path> files = Files.list(path)) {
      models = files.filter(PyTorchBackend::isModel).filter(Files::isRegularFile).sorted().toList();
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

  private static boolean isModel(Path path) {
    Path name = path.getFileName();
    return name != null && EXTENSIONS.stream().anyMatch(name.toString()::endsWith);
  }

  /** The GPUs that the driver shows, if this is a build for them, and the CPU. */
  @Override
  public List<Device> devices() {
    return devices(gpuSupport(), NvidiaDriver.ofThisMachine());
  }

  static List<Device> devices(GpuSupport support, NvidiaDriver driver) {
    List<Device> devices = new ArrayList<>();
    if (support instanceof GpuSupport.Ready) {
      for (int i = 0; i < driver.gpus(); i++) {
        devices.add(new Device(Device.Kind.GPU, i));
      }
    }
    devices.add(Device.CPU);
    return List.copyOf(devices);
  }

  /** What its libraries are for, which have all that they need of CUDA with them. */
  @Override
  public GpuSupport gpuSupport() {
    try {
      return PyTorchNatives.areForGpus()
          ? new GpuSupport.Ready()
          : new GpuSupport.None("its PyTorch is the build for CPUs; " + GpuSupport.BUILD_FOR_GPUS);
    } catch (IllegalStateException e) {
      return new GpuSupport.None("its PyTorch cannot be used here: " + e.getMessage());
    }
  }

  @Override
  public Servable load(ModelSource source) {
    PyTorchSettings settings = PyTorchSettings.read(source.settings());
    if (source.device().kind() == Device.Kind.GPU
        && gpuSupport() instanceof GpuSupport.None(String reason)) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s cannot run on %s: %s".formatted(source.id(), source.device(), reason));
    }
    requireEngine();
    TorchScriptFile file = TorchScriptFile.read(source.path());
    ScriptCode code = file.code();
    ScriptInputs inputs = inputs(source, settings, file);
    ai.djl.Device device = engineDevice(source.device());
    PyTorchEngine.Scope scope = PyTorchEngine.newScope(device);
    try {
      PtSymbolBlock module = open(source, settings, scope);
      boolean shared = code.isPure();
      LOG.debug("{}: takes {}, memory shared: {}", source.id(), inputs.names(), shared);
      return new PyTorchModel(
          scope,
          module,
          metadata(source, settings, inputs),
          inputs,
          new ScriptOutputs(settings.outputs(), shared),
          new PyTorchModel.Execution(
              device,
              source.threads(),
              settings.optimized(),
              shared,
              code.isStateful(),
              code.divides()));
    } catch (RuntimeException e) {
      scope.close();
      throw e;
    }
  }

  /** What the engine calls a device. Its module and its inputs are put there. */
  static ai.djl.Device engineDevice(Device device) {
    return switch (device.kind()) {
      case CPU -> ai.djl.Device.cpu();
      case GPU -> ai.djl.Device.gpu(device.index());
    };
  }

  /** The engine is loaded when the first class that calls it is. */
  private static void requireEngine() {
    try {
      LOG.debug("PyTorch {}", PyTorchEngine.version());
    } catch (LinkageError e) {
      Throwable cause = e;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION, "PyTorch cannot be used here: " + cause.getMessage(), e);
    }
  }

  private static ScriptInputs inputs(
      ModelSource source, PyTorchSettings settings, TorchScriptFile file) {
    List<TensorSpec> declared = settings.inputs();
    if (declared.isEmpty() && !file.traced().isEmpty()) {
      declared = file.traced();
      LOG.info(
          "{}: takes what it was traced with, {}; 'inputs' of the section 'pytorch' can say otherwise",
          source.id(),
          declared.stream()
              .map(spec -> spec.name() + ' ' + spec.dataType() + spec.shape())
              .toList());
    }
    try {
      return ScriptInputs.of(file.code().arguments(), declared);
    } catch (InferenceException e) {
      throw new InferenceException(e.code(), "%s: %s".formatted(source.path(), e.getMessage()), e);
    }
  }

  private static PtSymbolBlock open(
      ModelSource source, PyTorchSettings settings, PyTorchEngine.Scope scope) {
    try {
      PyTorchEngine.prepareThread(source.threads(), settings.optimized());
      PtSymbolBlock module =
          JniUtils.loadModule(
              scope.manager(), source.path(), true, new String[0], new String[0], false);
      if (!Arrays.asList(JniUtils.getMethodNames(module)).contains("forward")) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "%s: the script has no method forward".formatted(source.path()));
      }
      return module;
    } catch (InferenceException e) {
      throw e;
    } catch (RuntimeException e) {
      throw PyTorchErrors.ofLoad(source.path(), e);
    }
  }

  private static ModelMetadata metadata(
      ModelSource source, PyTorchSettings settings, ScriptInputs inputs) {
    Map<String, String> properties = new LinkedHashMap<>();
    properties.put("pytorch", PyTorchEngine.version());
    if (!inputs.names().isEmpty()) {
      properties.put("arguments", String.join(", ", inputs.names()));
    }
    return new ModelMetadata(
        source.id(),
        "pytorch_libtorch",
        inputs.specs(),
        settings.outputs(),
        isBatchable(inputs.specs()) && isBatchable(settings.outputs()) ? MAX_BATCH_SIZE : 0,
        properties);
  }

  /** Whether what is declared leaves the first dimension of everything open. */
  private static boolean isBatchable(List<TensorSpec> specs) {
    return specs.stream()
        .allMatch(spec -> spec.shape().rank() > 0 && spec.shape().dim(0) == Shape.ANY);
  }
}
