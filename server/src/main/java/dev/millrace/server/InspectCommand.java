package dev.millrace.server;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorSpec;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelLease;
import dev.millrace.runtime.ModelOptions;
import dev.millrace.runtime.ModelServer;
import dev.millrace.runtime.ModelState;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.runtime.Plugins;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.server.llm.LlmRoutes;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import java.io.PrintStream;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Shows what a model declares, and a request for it. */
final class InspectCommand {
  private static final Logger log = LoggerFactory.getLogger(InspectCommand.class);

  private final RuntimeConfig config;
  private final int httpPort;
  private final Plugins plugins;
  private final PrintStream out;

  InspectCommand(RuntimeConfig config, int httpPort, Plugins plugins, PrintStream out) {
    ModelOptions once =
        ModelOptions.read(
                Settings.of("inspect", Map.of("instances", 1, "threads", 1, "warm-up", false)))
            .over(config.options());
    this.config = config.withOptions(once);
    this.httpPort = httpPort;
    this.plugins = plugins;
    this.out = out;
  }

  /**
   * Loads the models and prints them.
   *
   * @throws StartException if one does not load
   */
  void run() throws StartException {
    LoadProgress progress = new LoadProgress();
    try (ModelServer server = ModelServer.create(config, plugins, new CompositeMeterRegistry())) {
      server.models().loadAll(progress);
      Map<String, ModelDescription> models = new LinkedHashMap<>();
      Set<String> languageModels = new HashSet<>();
      for (ModelStatus status : server.models().index()) {
        if (status.state() == ModelState.READY) {
          ModelId id = ModelId.latest(status.name());
          models.put(status.name(), server.models().describe(id));
          try (ModelLease lease = server.models().lease(id)) {
            if (LlmRoutes.isLanguageModel(lease.servable())) {
              languageModels.add(status.name());
            }
          }
        }
      }
      models.forEach((name, model) -> print(name, model, languageModels.contains(name)));
    } catch (InferenceException e) {
      log.debug("The models cannot be inspected", e);
      throw new StartException(e.getMessage(), e);
    }
    if (!progress.failures().isEmpty()) {
      throw new StartException(progress.failureLine(), null);
    }
  }

  private void print(String name, ModelDescription model, boolean chats) {
    ModelMetadata metadata = model.metadata();
    out.println(name);
    out.println("  versions  " + String.join(", ", model.versions()));
    out.println("  platform  " + metadata.platform());
    out.println(
        "  batching  "
            + (metadata.isBatchable()
                ? "up to %d rows (dimension 0 of every input and output)"
                    .formatted(metadata.maxBatchSize())
                : "none: its inputs and outputs have no batch dimension"));
    print("inputs", metadata.inputs());
    print("outputs", metadata.outputs());
    out.println();
    out.println("A request, for when it is served:");
    out.println();
    SampleRequest request = chats ? SampleRequest.chat(name) : SampleRequest.of(metadata);
    out.println(request.curl("http://localhost:" + httpPort));
    out.println();
  }

  private void print(String label, List<TensorSpec> specs) {
    int width = specs.stream().mapToInt(spec -> spec.name().length()).max().orElse(1);
    String first = label;
    for (TensorSpec spec : specs) {
      out.printf(
          "  %-8s  %-" + width + "s  %-6s %s%s%n",
          first,
          spec.name(),
          spec.dataType(),
          spec.shape(),
          spec.optional() ? "  optional" : "");
      first = "";
    }
  }
}
