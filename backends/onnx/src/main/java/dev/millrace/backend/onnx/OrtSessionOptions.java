package dev.millrace.backend.onnx;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** How a session runs, as the engine wants to be told; closed when the session is made. */
final class OrtSessionOptions implements AutoCloseable {
  /** The ExecutionMode ORT_PARALLEL. */
  private static final int PARALLEL = 1;

  /** The option of CUDA's provider that names the GPU. */
  static final String DEVICE_ID = "device_id";

  private final long handle = OrtApi.get(OrtApi.CREATE_SESSION_OPTIONS);
  private final Arena arena = Arena.ofConfined();

  /**
   * Options of a session.
   *
   * @param name stands before the session's log lines
   * @param threads how many threads one operator may use, the caller's included
   * @throws OrtException if the engine refuses them
   */
  OrtSessionOptions(String name, int threads, int deviceIndex, OnnxSettings settings) {
    try {
      set(name, threads, deviceIndex, settings);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private void set(String name, int threads, int deviceIndex, OnnxSettings settings) {
    OrtApi.call(OrtApi.SET_SESSION_LOG_ID, handle, text(name));
    OrtApi.call(
        OrtApi.SET_SESSION_GRAPH_OPTIMIZATION_LEVEL, handle, settings.optimizationLevel().value());
    OrtApi.call(OrtApi.SET_INTRA_OP_NUM_THREADS, handle, threads);
    OrtApi.call(OrtApi.SET_INTER_OP_NUM_THREADS, handle, settings.interOpThreads());
    if (settings.interOpThreads() > 1) {
      OrtApi.call(OrtApi.SET_SESSION_EXECUTION_MODE, handle, PARALLEL);
    }
    if (!settings.memoryArena()) {
      OrtApi.call(OrtApi.DISABLE_CPU_MEM_ARENA, handle);
    }
    // Threads that spin while they wait take the processor from the other instances.
    config("session.intra_op.allow_spinning", "0");
    config("session.inter_op.allow_spinning", "0");
    settings.sessionConfig().forEach(this::config);
    appendProvider(deviceIndex, settings);
  }

  private void config(String key, String value) {
    OrtApi.call(OrtApi.ADD_SESSION_CONFIG_ENTRY, handle, text(key), text(value));
  }

  private void appendProvider(int deviceIndex, OnnxSettings settings) {
    switch (settings.provider()) {
      case OnnxSettings.CPU -> {}
      case OnnxGpus.CUDA -> appendCuda(handle, arena, deviceIndex, settings.providerOptions());
      default -> {
        Options options = Options.of(arena, settings.providerOptions());
        String name = settings.provider().replace("ExecutionProvider", "");
        OrtApi.call(
            OrtApi.APPEND_PROVIDER,
            handle,
            text(name),
            options.keys.address(),
            options.values.address(),
            options.count);
      }
    }
  }

  private static void appendCuda(
      long handle, Arena arena, int deviceIndex, Map<String, String> providerOptions) {
    Options options = Options.of(arena, cudaOptions(deviceIndex, providerOptions));
    long cuda = OrtApi.get(OrtApi.CREATE_CUDA_OPTIONS);
    try {
      OrtApi.call(
          OrtApi.UPDATE_CUDA_OPTIONS,
          cuda,
          options.keys.address(),
          options.values.address(),
          options.count);
      OrtApi.call(OrtApi.APPEND_CUDA_PROVIDER, handle, cuda);
    } finally {
      OrtApi.release(OrtApi.RELEASE_CUDA_OPTIONS, cuda);
    }
  }

  /** What CUDA's provider is told: which GPU, and what the configuration says. */
  static Map<String, String> cudaOptions(int deviceIndex, Map<String, String> providerOptions) {
    Map<String, String> all = new LinkedHashMap<>();
    all.put(DEVICE_ID, Integer.toString(deviceIndex));
    all.putAll(providerOptions);
    return all;
  }

  /** What the engine says against computing on the first GPU; empty if nothing. */
  static Optional<OrtException> tryCuda() {
    long handle = OrtApi.get(OrtApi.CREATE_SESSION_OPTIONS);
    try (Arena arena = Arena.ofConfined()) {
      appendCuda(handle, arena, 0, Map.of());
      return Optional.empty();
    } catch (OrtException e) {
      return Optional.of(e);
    } finally {
      OrtApi.release(OrtApi.RELEASE_SESSION_OPTIONS, handle);
    }
  }

  /** Keys and values as two arrays of C strings. */
  private record Options(MemorySegment keys, MemorySegment values, int count) {
    static Options of(Arena arena, Map<String, String> map) {
      List<String> keys = List.copyOf(map.keySet());
      return new Options(
          OrtMemory.texts(arena, keys),
          OrtMemory.texts(arena, keys.stream().map(map::get).toList()),
          keys.size());
    }
  }

  private long text(String value) {
    return arena.allocateFrom(value).address();
  }

  long handle() {
    return handle;
  }

  @Override
  public void close() {
    OrtApi.release(OrtApi.RELEASE_SESSION_OPTIONS, handle);
    arena.close();
  }
}
