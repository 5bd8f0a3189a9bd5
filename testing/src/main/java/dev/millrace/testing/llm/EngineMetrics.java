package dev.millrace.testing.llm;

/** What vLLM's {@code /metrics} says, as far as proxies read it. */
final class EngineMetrics {
  private EngineMetrics() {}

  static String text(Dialect dialect, ScriptedEngine engine) {
    String model = engine.models().getFirst();
    String labels =
        switch (dialect) {
          case V0_7_1 -> "{model_name=\"%s\"}".formatted(model);
          case MAIN -> "{engine=\"0\",model_name=\"%s\"}".formatted(model);
        };
    String cache =
        switch (dialect) {
          case V0_7_1 -> "vllm:gpu_cache_usage_perc";
          case MAIN -> "vllm:kv_cache_usage_perc";
        };
    StringBuilder out = new StringBuilder();
    sample(out, "vllm:num_requests_running", "gauge", labels, engine.running());
    sample(out, "vllm:num_requests_waiting", "gauge", labels, engine.waiting());
    sample(out, cache, "gauge", labels, engine.cacheUsage());
    sample(out, "vllm:prompt_tokens_total", "counter", labels, 0);
    sample(out, "vllm:generation_tokens_total", "counter", labels, (double) engine.eventsSent());
    return out.toString();
  }

  private static void sample(
      StringBuilder out, String name, String type, String labels, double value) {
    out.append("# HELP ").append(name).append(" As vLLM has it.\n");
    out.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    out.append(name).append(labels).append(' ').append(value).append('\n');
  }
}
