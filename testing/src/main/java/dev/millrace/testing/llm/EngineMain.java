package dev.millrace.testing.llm;

import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The engine as a process, with a command line as vLLM's: {@code serve MODEL --port 8000
 * --served-model-name a b --api-key k --lora-modules sql=/path --enable-request-id-headers}, and
 * {@code --version}. Options that it does not know are taken and forgotten, with all values up to
 * the next option.
 *
 * <p>In the environment, {@code SCRIPTED_VERSION} says which vLLM it is ({@code 0.7.1} by default),
 * {@code SCRIPTED_START} how long it loads ({@code 500} milliseconds, say), {@code SCRIPTED_FAIL}
 * that it fails to (the exit status), {@code SCRIPTED} the script for all requests, and, as for
 * vLLM, {@code VLLM_HTTP_TIMEOUT_KEEP_ALIVE} for how many seconds connections may be idle.
 */
public final class EngineMain {
  private static volatile List<String> arguments = List.of();

  private EngineMain() {}

  static List<String> arguments() {
    return arguments;
  }

  /**
   * Serves until the process is ended.
   *
   * @param args as vLLM's
   */
  public static void main(String[] args) throws IOException, InterruptedException {
    arguments = List.of(args);
    Dialect dialect =
        Dialect.of(System.getenv().getOrDefault("SCRIPTED_VERSION", Dialect.V0_7_1.version()));
    if (arguments.contains("--version") || arguments.contains("-v")) {
      System.out.println(dialect.version());
      return;
    }
    List<String> positional = new ArrayList<>();
    Map<String, List<String>> options = parse(arguments, positional);
    if (!positional.remove("serve") || (positional.isEmpty() && !options.containsKey("model"))) {
      System.err.println(
          "usage: serve MODEL [--port PORT] [--served-model-name NAME...]; got " + arguments);
      System.exit(2);
    }
    System.out.println("INFO api_server.py:840] vLLM API server version " + dialect.version());
    System.out.println("INFO api_server.py:841] args: " + arguments);
    Thread.sleep(Long.parseLong(System.getenv().getOrDefault("SCRIPTED_START", "0")));
    String failure = System.getenv("SCRIPTED_FAIL");
    if (failure != null) {
      System.err.println("ValueError: scripted to fail at the start");
      System.exit(Integer.parseInt(failure));
    }
    String model =
        positional.isEmpty()
            ? options.getOrDefault("model", List.of("")).getFirst()
            : positional.getFirst();
    ScriptedEngine engine =
        ScriptedEngine.builder()
            .dialect(dialect)
            .models(
                options.getOrDefault("served-model-name", List.of(model)).toArray(String[]::new))
            .adapters(
                options.getOrDefault("lora-modules", List.of()).stream()
                    .map(EngineMain::adapter)
                    .toArray(String[]::new))
            .keys(options.getOrDefault("api-key", List.of()).toArray(String[]::new))
            .host(
                InetAddress.getByName(options.getOrDefault("host", List.of("0.0.0.0")).getFirst()))
            .port(Integer.parseInt(options.getOrDefault("port", List.of("8000")).getFirst()))
            .echoesRequestId(options.containsKey("enable-request-id-headers"))
            .keepAlive(
                Duration.ofSeconds(
                    Long.parseLong(
                        System.getenv().getOrDefault("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "5"))))
            .start();
    engine.always(System.getenv().getOrDefault("SCRIPTED", ""));
    System.out.println("INFO:     Started server process [" + ProcessHandle.current().pid() + "]");
    System.out.println("INFO:     Uvicorn running on http://0.0.0.0:" + engine.port());
    Thread.currentThread().join();
  }

  private static Map<String, List<String>> parse(List<String> args, List<String> positional) {
    Map<String, List<String>> options = new LinkedHashMap<>();
    List<String> values = positional;
    for (String arg : args) {
      if (arg.startsWith("--")) {
        int equals = arg.indexOf('=');
        String name = equals < 0 ? arg.substring(2) : arg.substring(2, equals);
        values = new ArrayList<>();
        options.put(name.replace('_', '-'), values);
        if (equals > 0) {
          values.add(arg.substring(equals + 1));
        }
      } else {
        values.add(arg);
      }
    }
    return options;
  }

  /** The name of an adapter, given as {@code name=path} or as JSON. */
  private static String adapter(String module) {
    if (module.startsWith("{") && Json.parse(module) instanceof Map<?, ?> fields) {
      return String.valueOf(fields.get("name"));
    }
    int equals = module.indexOf('=');
    return equals < 0 ? module : module.substring(0, equals);
  }
}
