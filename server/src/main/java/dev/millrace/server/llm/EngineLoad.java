package dev.millrace.server.llm;

/**
 * How busy an engine says it is.
 *
 * @param waiting requests in its queue
 * @param cacheUse how full its cache of keys and values is, from 0 to 1
 */
record EngineLoad(double waiting, double cacheUse) {
  /**
   * Reads the metrics of vLLM, by their old names and the new ones, in Prometheus' text format;
   * what is not there is 0.
   */
  static EngineLoad parse(String text) {
    double waiting = 0;
    double cacheUse = 0;
    for (String line : text.lines().toList()) {
      if (isOf(line, "vllm:num_requests_waiting")) {
        waiting += value(line);
      } else if (isOf(line, "vllm:kv_cache_usage_perc")
          || isOf(line, "vllm:gpu_cache_usage_perc")) {
        cacheUse = Math.max(cacheUse, value(line));
      }
    }
    return new EngineLoad(waiting, cacheUse);
  }

  private static boolean isOf(String line, String name) {
    return line.startsWith(name)
        && line.length() > name.length()
        && (line.charAt(name.length()) == '{' || line.charAt(name.length()) == ' ');
  }

  private static double value(String line) {
    int start = line.lastIndexOf('}') + 1;
    String[] parts = line.substring(start == 0 ? line.indexOf(' ') : start).strip().split(" ", 2);
    try {
      double value = Double.parseDouble(parts[0]);
      return Double.isFinite(value) ? Math.max(0, value) : 0;
    } catch (NumberFormatException e) {
      return 0;
    }
  }
}
