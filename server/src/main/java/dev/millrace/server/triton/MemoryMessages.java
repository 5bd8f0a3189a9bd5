package dev.millrace.server.triton;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.proto.inference.CudaSharedMemoryStatusRequest;
import dev.millrace.proto.inference.CudaSharedMemoryStatusResponse;
import dev.millrace.proto.inference.SystemSharedMemoryRegisterRequest;
import dev.millrace.proto.inference.SystemSharedMemoryRegisterResponse;
import dev.millrace.proto.inference.SystemSharedMemoryStatusRequest;
import dev.millrace.proto.inference.SystemSharedMemoryStatusResponse;
import dev.millrace.proto.inference.SystemSharedMemoryUnregisterRequest;
import dev.millrace.proto.inference.SystemSharedMemoryUnregisterResponse;
import dev.millrace.server.memory.SharedMemory;
import dev.millrace.server.memory.SharedRegion;

/**
 * Answers what gRPC clients ask about shared memory; throws as {@link SharedMemory} does. GPU
 * memory cannot be shared: there are never any regions of it, so clients that make sure there are
 * none are told so.
 */
public final class MemoryMessages {
  private MemoryMessages() {}

  /** The regions, or the one that is asked for. */
  public static SystemSharedMemoryStatusResponse status(
      SharedMemory memory, SystemSharedMemoryStatusRequest request) {
    SystemSharedMemoryStatusResponse.Builder response =
        SystemSharedMemoryStatusResponse.newBuilder();
    for (SharedRegion region : memory.status(request.getName())) {
      response.putRegions(
          region.name(),
          SystemSharedMemoryStatusResponse.RegionStatus.newBuilder()
              .setName(region.name())
              .setKey(region.key())
              .setOffset(region.offset())
              .setByteSize(region.byteSize())
              .build());
    }
    return response.build();
  }

  /** Registers a region. */
  public static SystemSharedMemoryRegisterResponse register(
      SharedMemory memory, SystemSharedMemoryRegisterRequest request) {
    memory.register(
        new SharedRegion(
            request.getName(), request.getKey(), request.getOffset(), request.getByteSize()));
    return SystemSharedMemoryRegisterResponse.getDefaultInstance();
  }

  /** Forgets a region, or all. */
  public static SystemSharedMemoryUnregisterResponse unregister(
      SharedMemory memory, SystemSharedMemoryUnregisterRequest request) {
    if (request.getName().isEmpty()) {
      memory.unregisterAll();
    } else {
      memory.unregister(request.getName());
    }
    return SystemSharedMemoryUnregisterResponse.getDefaultInstance();
  }

  /**
   * No regions of GPU memory.
   *
   * @throws InferenceException NOT_FOUND if a certain one is asked for
   */
  public static CudaSharedMemoryStatusResponse cudaStatus(CudaSharedMemoryStatusRequest request) {
    if (!request.getName().isEmpty()) {
      throw noCudaRegion(request.getName());
    }
    return CudaSharedMemoryStatusResponse.getDefaultInstance();
  }

  /** What a client is told that asks for a region of GPU memory. */
  static InferenceException noCudaRegion(String name) {
    return InferenceException.notFound(
        "Unable to find cuda shared memory region: '%s'".formatted(name));
  }

  /** What a client is told that wants to share GPU memory. */
  public static InferenceException noCuda() {
    return new InferenceException(
        ErrorCode.UNIMPLEMENTED,
        "CUDA shared memory is not supported; use system shared memory or send the tensors");
  }
}
