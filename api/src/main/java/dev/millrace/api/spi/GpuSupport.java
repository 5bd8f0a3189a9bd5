package dev.millrace.api.spi;

/** Whether the build of an engine that is installed can use GPUs. */
public sealed interface GpuSupport {
  /**
   * It cannot.
   *
   * @param reason why, and what to do about it, for people
   */
  record None(String reason) implements GpuSupport {}

  /**
   * It is made for GPUs, but something that it needs for them is missing.
   *
   * @param reason what is missing, and what to do about it, for people
   */
  record Broken(String reason) implements GpuSupport {}

  /** It can, as far as there are GPUs. */
  record Ready() implements GpuSupport {}

  /** What to do about a build that is for CPUs only. */
  String BUILD_FOR_GPUS = "use the image's variant 'gpu', or build with -Pgpu";
}
