package dev.millrace.backend.tensorflow;

/** Where TensorFlow's functions say whether they succeeded. Not thread-safe. */
record TfStatus(long handle) implements AutoCloseable {
  TfStatus() {
    this(TfApi.call(TfApi.NEW_STATUS));
  }

  /**
   * Looks at what the last call left here.
   *
   * @throws TfException if it failed
   */
  void check() {
    int code = (int) TfApi.call(TfApi.GET_CODE, handle);
    if (code != 0) {
      throw new TfException(code, TfMemory.text(TfApi.call(TfApi.MESSAGE, handle)));
    }
  }

  @Override
  public void close() {
    TfApi.call(TfApi.DELETE_STATUS, handle);
  }
}
