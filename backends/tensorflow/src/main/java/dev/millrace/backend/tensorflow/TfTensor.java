package dev.millrace.backend.tensorflow;

/** A tensor in the engine's memory; closed once, by any thread, even when its session is gone. */
record TfTensor(long handle) implements AutoCloseable {
  @Override
  public void close() {
    TfApi.call(TfApi.DELETE_TENSOR, handle);
  }
}
