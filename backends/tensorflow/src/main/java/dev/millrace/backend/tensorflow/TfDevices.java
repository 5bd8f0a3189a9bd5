package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.millrace.api.Device;
import dev.millrace.api.spi.GpuSupport;
import dev.millrace.api.spi.NvidiaDriver;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GPUOptions;

/** What this build of TensorFlow can compute on here. */
final class TfDevices {
  /** tensorflow::IsGoogleCudaEnabled() of {@code port.h}, which no C function tells. */
  private static final String HAS_CUDA = "_ZN10tensorflow19IsGoogleCudaEnabledEv";

  private TfDevices() {}

  /** Counted when it is first asked for, which sets the GPUs up. */
  private static final class Gpus {
    private static final int COUNT = (int) types().stream().filter("GPU"::equals).count();
  }

  /**
   * How many GPUs it can compute on; 0 without asking it on a machine without a driver.
   *
   * @throws TfException if the engine cannot tell
   * @throws LinkageError if the engine cannot be used at all
   */
  static int gpus() {
    return NvidiaDriver.ofThisMachine().gpus() == 0 ? 0 : Gpus.COUNT;
  }

  /** Whether it is a build for GPUs, as far as it tells. */
  static boolean isBuiltForGpus() {
    return TfApi.find(HAS_CUDA, 0).map(function -> (TfApi.call(function) & 0xFF) != 0).orElse(true);
  }

  /** Whether it can use GPUs, of what is described. */
  static GpuSupport support(boolean builtForGpus, NvidiaDriver driver, IntSupplier gpus) {
    if (!builtForGpus) {
      return new GpuSupport.None(
          "its TensorFlow is the build for CPUs; " + GpuSupport.BUILD_FOR_GPUS);
    }
    return driver.gpus() > 0 && gpus.getAsInt() == 0
        ? new GpuSupport.Broken(
            "TensorFlow finds none of the GPUs that the driver shows, mostly for want of CUDA 12's"
                + " or cuDNN 9's libraries; TF_CPP_MIN_LOG_LEVEL=0 makes it say which, and the"
                + " image's variant 'gpu' has them")
        : new GpuSupport.Ready();
  }

  /** That many GPUs, and the CPU. */
  static List<Device> devices(int gpus) {
    List<Device> devices = new ArrayList<>();
    for (int i = 0; i < gpus; i++) {
      devices.add(new Device(Device.Kind.GPU, i));
    }
    devices.add(Device.CPU);
    return List.copyOf(devices);
  }

  /**
   * The types of the devices, one for each, as in {@code CPU} and {@code GPU}.
   *
   * @throws TfException if the engine cannot tell
   */
  static List<String> types() {
    byte[] config =
        ConfigProto.newBuilder()
            .setGpuOptions(GPUOptions.newBuilder().setAllowGrowth(true))
            .build()
            .toByteArray();
    long graph = TfApi.call(TfApi.NEW_GRAPH);
    long options = TfApi.call(TfApi.NEW_SESSION_OPTIONS);
    try (Arena arena = Arena.ofConfined();
        TfStatus status = new TfStatus()) {
      MemorySegment bytes = arena.allocateFrom(JAVA_BYTE, config);
      TfApi.call(TfApi.SET_CONFIG, options, bytes.address(), config.length, status.handle());
      status.check();
      long session = TfApi.call(TfApi.NEW_SESSION, graph, options, status.handle());
      status.check();
      try {
        return types(session, status);
      } finally {
        TfApi.call(TfApi.DELETE_SESSION, session, status.handle());
      }
    } finally {
      TfApi.call(TfApi.DELETE_SESSION_OPTIONS, options);
      TfApi.call(TfApi.DELETE_GRAPH, graph);
    }
  }

  private static List<String> types(long session, TfStatus status) {
    long devices = TfApi.call(TfApi.SESSION_LIST_DEVICES, session, status.handle());
    status.check();
    try {
      List<String> types = new ArrayList<>();
      int count = (int) TfApi.call(TfApi.DEVICE_LIST_COUNT, devices);
      for (int i = 0; i < count; i++) {
        types.add(TfMemory.text(TfApi.call(TfApi.DEVICE_LIST_TYPE, devices, i, status.handle())));
        status.check();
      }
      return types;
    } finally {
      TfApi.call(TfApi.DELETE_DEVICE_LIST, devices);
    }
  }
}
