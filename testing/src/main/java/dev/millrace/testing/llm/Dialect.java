package dev.millrace.testing.llm;

/** Which vLLM is imitated: they differ in fields, errors, metrics and what is validated. */
public enum Dialect {
  /** vLLM 0.7.1: flat errors, {@code reasoning_content}, {@code gpu_cache_usage_perc}. */
  V0_7_1("0.7.1"),

  /**
   * vLLM as of August 2026: nested errors, {@code reasoning}, {@code kv_cache_usage_perc}, and
   * {@code /v1/responses}, {@code /v1/messages} and audio besides.
   */
  MAIN("0.24.0");

  private final String version;

  Dialect(String version) {
    this.version = version;
  }

  /** What {@code vllm --version} and {@code /version} say. */
  public String version() {
    return version;
  }

  /** The dialect of a version of vLLM. */
  public static Dialect of(String version) {
    return version.equals(V0_7_1.version) ? V0_7_1 : MAIN;
  }
}
