package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

/** A graph with its variables in the engine's memory. May be run by several threads at once. */
final class TfSession implements AutoCloseable {
  private final long handle;
  private final long graph;
  private final long runOptions;

  private TfSession(long handle, long graph, long runOptions) {
    this.handle = handle;
    this.graph = graph;
    this.runOptions = runOptions;
  }

  /**
   * Loads a SavedModel: its graph, its variables, and what its initialising operation does.
   *
   * @throws TfException if the engine cannot
   */
  static TfSession open(Path directory, List<String> tags, SessionConfig config) {
    long graph = TfApi.call(TfApi.NEW_GRAPH);
    long options = TfApi.call(TfApi.NEW_SESSION_OPTIONS);
    long runOptions = buffer(config.runOptions());
    try (Arena arena = Arena.ofConfined();
        TfStatus status = new TfStatus()) {
      byte[] bytes = config.session();
      MemorySegment session = arena.allocateFrom(JAVA_BYTE, bytes);
      TfApi.call(TfApi.SET_CONFIG, options, session.address(), bytes.length, status.handle());
      status.check();
      long handle =
          TfApi.call(
              TfApi.LOAD_SESSION_FROM_SAVED_MODEL,
              options,
              runOptions,
              arena.allocateFrom(directory.toString()).address(),
              TfMemory.texts(arena, tags).address(),
              tags.size(),
              graph,
              0,
              status.handle());
      status.check();
      return new TfSession(handle, graph, runOptions);
    } catch (TfException e) {
      TfApi.call(TfApi.DELETE_BUFFER, runOptions);
      TfApi.call(TfApi.DELETE_GRAPH, graph);
      throw e;
    } finally {
      TfApi.call(TfApi.DELETE_SESSION_OPTIONS, options);
    }
  }

  private static long buffer(byte[] bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocateFrom(JAVA_BYTE, bytes);
      return TfApi.call(TfApi.NEW_BUFFER_FROM_STRING, copy.address(), bytes.length);
    }
  }

  long handle() {
    return handle;
  }

  /** How every run is to be done: a TF_Buffer. */
  long runOptions() {
    return runOptions;
  }

  /** The operation at an endpoint; 0 if the graph has none, or one without such an output. */
  long operation(Endpoint endpoint) {
    try (Arena arena = Arena.ofConfined()) {
      long operation =
          TfApi.call(
              TfApi.GRAPH_OPERATION_BY_NAME,
              graph,
              arena.allocateFrom(endpoint.operation()).address());
      return operation != 0
              && endpoint.index() < (int) TfApi.call(TfApi.OPERATION_NUM_OUTPUTS, operation)
          ? operation
          : 0;
    }
  }

  @Override
  public void close() {
    try (TfStatus status = new TfStatus()) {
      TfApi.call(TfApi.CLOSE_SESSION, handle, status.handle());
      TfApi.call(TfApi.DELETE_SESSION, handle, status.handle());
    }
    TfApi.call(TfApi.DELETE_GRAPH, graph);
    TfApi.call(TfApi.DELETE_BUFFER, runOptions);
  }
}
