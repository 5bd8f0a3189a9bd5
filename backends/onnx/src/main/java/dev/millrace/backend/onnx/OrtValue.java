package dev.millrace.backend.onnx;

/** A value in the engine's memory; closed once, by any thread, even when its session is gone. */
record OrtValue(long handle) implements AutoCloseable {
  @Override
  public void close() {
    OrtApi.release(OrtApi.RELEASE_VALUE, handle);
  }
}
