package dev.millrace.runtime;

import dev.millrace.api.Device;
import dev.millrace.api.spi.GpuSupport;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Why a GPU cannot be had, and what to do about it, in one line: the first thing that is missing on
 * the way from the engine down to the card.
 */
final class MissingGpu {
  private static final String ASK_FOR_ONE =
      "ask for one: 'nvidia.com/gpu: 1' among a pod's limits, '--gpus all' of Docker";

  private MissingGpu() {}

  /** Why an engine uses no GPU at all. */
  static String why(GpuHost host, GpuSupport support) {
    if (support instanceof GpuSupport.None(String reason)) {
      return reason;
    }
    if (!host.deviceFiles()) {
      return host.nvidiaVisible()
          .filter(MissingGpu::hidesFromContainer)
          .map(value ->
              "NVIDIA_VISIBLE_DEVICES is '%s', which keeps GPUs out of this container; "
                      .formatted(value)
                  + ASK_FOR_ONE)
          .orElse("this machine or container has no NVIDIA GPU (/dev/nvidia*); " + ASK_FOR_ONE);
    }
    if (!host.driver().installed()) {
      return "NVIDIA's driver is missing (libcuda.so.1); install it, or on a machine that has it,"
          + " run the container by NVIDIA's container toolkit with"
          + " NVIDIA_DRIVER_CAPABILITIES=compute,utility";
    }
    if (host.driver().gpus() == 0) {
      return noneVisible(host);
    }
    return switch (support) {
      case GpuSupport.Broken(String reason) -> reason;
      case GpuSupport.None(String reason) -> reason;
      case GpuSupport.Ready() ->
          "NVIDIA's driver shows %d, but the engine accepts none of them; 'nvidia-smi' tells how old"
                  .formatted(host.driver().gpus())
              + " they and the driver are";
    };
  }

  /** Why there is no GPU of that number where there are others. */
  static String whyNot(int index, GpuHost host, List<Device> gpus) {
    return "there is no gpu:%d, only %s%s"
        .formatted(
            index,
            gpus.stream().map(Device::toString).collect(Collectors.joining(", ")),
            host.cudaVisible()
                .map(value ->
                    "; CUDA_VISIBLE_DEVICES is '%s', whose GPUs are numbered from 0 here"
                        .formatted(value))
                .orElse("; GPUs are numbered from 0"));
  }

  private static String noneVisible(GpuHost host) {
    if (host.cudaVisible().isPresent()) {
      return "CUDA_VISIBLE_DEVICES is '%s', which hides all GPUs from this process; unset it or name"
              .formatted(host.cudaVisible().get())
          + " one that is there, as in '0'";
    }
    return "NVIDIA's driver shows no GPU (CUresult %d); see whether 'nvidia-smi' works here"
        .formatted(host.driver().status());
  }

  /** Empty and {@code void} are for no GPUs, {@code none} for none but the driver's files. */
  private static boolean hidesFromContainer(String value) {
    return value.isBlank() || value.equals("void") || value.equals("none");
  }
}
