package dev.millrace.server;

import dev.millrace.server.Setting.Group;
import java.util.List;

/** Writes {@code docs/configuration.md} from the table of settings. */
final class ConfigurationPage {
  private static final String INTRODUCTION =
      """
      # Configuration

      <!-- Made from the code (ServerSettings, ConfigurationPage): change that, then run the command
           that the failing ConfigurationPageTest prints. -->

      Nothing has to be configured: `millrace serve MODEL` serves. What can be is listed below. Each
      setting is

      - a flag: `--http-port 9000` or `--http-port=9000`; the last one wins;
      - an environment variable: `MILLRACE_HTTP_PORT=9000`;
      - a key of the configuration file: `http-port: 9000`.

      Flags win over environment variables, these over the configuration file, that over a model's
      own [`model.yaml`](#modelyaml), that over the defaults. The configuration in force is logged at
      the start, with who said so.

      Sizes have a unit, `B`, `KB`, `MB` or `GB`, which count in 1024s: `64MB`; a number alone is bytes.
      Times have one too: `ns`, `us`, `ms`, `s`, `m`, `h` or `d`: `500ms`.

      A flag or key that does not exist and a value that does not do stop the start with exit code 2
      and a line that says where and what would do. An unknown `MILLRACE_` variable is only warned
      of, because others set such variables too: Kubernetes does for a Service called `millrace`.

      ## The configuration file

      `--config FILE`, else the file that `MILLRACE_CONFIG` names, else `millrace.yaml` in the
      working directory if there is one:

      ```yaml
      model:
        - /models/fraud
        - path: /models/minilm/model.onnx
          name: embeddings
      http-port: 9000
      max-body-size: 16MB
      device: cpu
      ```

      ## Where models come from

      The first of these that says something:

      1. `MODEL` on the command line (or `--model`, or KServe's `--model_dir`), `MILLRACE_MODEL`,
         `model` in the configuration file;
      2. `MODEL_FILES_PATH`, which Hopsworks sets;
      3. `/mnt/models`, where KServe mounts a model, or `/opt/ml/model`, where SageMaker does, if it
         exists.

      Each is a model file, a directory with one model, a directory with numbered versions of one
      model, or a repository: a directory of such directories. A model is called after `model-name`,
      else after what the platform calls it (`DEPLOYMENT_NAME`, then, if `MODEL_FILES_PATH` is set,
      `MODEL_NAME`, then `INFERENCE_SERVICE_NAME`; not for a repository), else after `name` in its
      `model.yaml`, else after its directory or file.

      """;

  private static final String MODEL_FILE =
      """
      ## model.yaml

      A file of that name beside a model's files, or in the directory above its version directories,
      says how that one model is served. The settings of
      [the same names](#how-models-are-served) win over it.

      | key | value | default | what it does |
      |---|---|---|---|
      """;

  /** Keys of {@code model.yaml} that are no settings: key, value, default, description. */
  static final List<List<String>> MODEL_FILE_KEYS =
      List.of(
          List.of(
              "name",
              "name",
              "name of the directory or file",
              "What the model is called in requests."),
          List.of("properties", "keys and texts", "none", "Shown in the model's metadata."),
          List.of(
              "transformers",
              "list of names, alone or with a section",
              "none",
              "Steps before and behind the model, in the order of a request: see"
                  + " [transformers.md](transformers.md)."),
          List.of(
              "labels",
              "outputs and files",
              "none",
              "Names for the classes that an output scores, for clients that ask for classes: a text"
                  + " file beside this one or in the version's directory, with one name a line."),
          List.of(
              "llm",
              "section",
              "none",
              "Where the engines of a language model are, and how they are treated: see"
                  + " [llm.md](llm.md)."),
          List.of("onnx", "section", "none", "What only the ONNX backend knows: see below."),
          List.of("python", "section", "none", "What only the Python backend knows: see below."),
          List.of("pytorch", "section", "none", "What only the PyTorch backend knows: see below."),
          List.of(
              "tensorflow",
              "section",
              "none",
              "What only the TensorFlow backend knows: see below."),
          List.of(
              "padding",
              "section",
              "none",
              "How requests of different lengths share a batch: `inputs`, the name of each input that"
                  + " may be longer with the number that it is filled up with; `dimension` that"
                  + " varies, 1 unless given; `outputs`, the name of each output that is cut again"
                  + " with the dimension to cut. More requests share a batch, and what was filled up"
                  + " is computed too. Only for models that ignore it, as by a mask."),
          List.of(
              "logger",
              "section",
              "none",
              "How the model's inferences are logged: [logging.md](logging.md)."),
          List.of(
              "instance-groups",
              "sections",
              "one of `device` and `instances`",
              "Instances on several devices, in place of `device` and `instances`:"
                  + " [devices.md](devices.md)."),
          List.of(
              "batcher",
              "section",
              "none",
              "What KServe's and Hopsworks' batcher would be told: see below."),
          List.of(
              "dynamic_batching",
              "section",
              "none",
              "What Triton's batcher would be told: see below."));

  private static final String ONNX =
      """

      The section `onnx`:

      | key | value | default | what it does |
      |---|---|---|---|
      """;

  /** Keys of the section {@code onnx}: key, value, default, description. */
  static final List<List<String>> ONNX_KEYS =
      List.of(
          List.of(
              "optimization-level",
              "none, basic, extended, all",
              "all",
              "How far the engine rewrites the graph when it loads it."),
          List.of(
              "inter-op-threads",
              "1 to 1024",
              "1",
              "How many operators of one run may run side by side."),
          List.of(
              "execution-provider",
              "name",
              "the one for `device`",
              "What of the engine computes, as in `cpu` or `cuda`."),
          List.of("provider-options", "keys and texts", "none", "The provider's own settings."),
          List.of(
              "memory-arena",
              "true or false",
              "true",
              "Whether the engine keeps memory for its next run: faster, but its most is held."),
          List.of("session-config", "keys and texts", "none", "The engine's own settings."));

  private static final String PYTORCH =
      """

      The section `pytorch`:

      | key | value | default | what it does |
      |---|---|---|---|
      """;

  /** Keys of the section {@code pytorch}: key, value, default, description. */
  static final List<List<String>> PYTORCH_KEYS =
      List.of(
          List.of(
              "inputs",
              "list of name, datatype and shape",
              "what a traced script was traced with, else none",
              "What the model takes. Names are matched with the arguments of `forward`: if they are"
                  + " theirs, by name, else by the number after `__`, else in order."),
          List.of(
              "outputs",
              "list of name, datatype and shape",
              "none",
              "What the model gives. Names are keys of the dict that it returns, else matched by the"
                  + " number after `__`, else in order. What is not listed is not given."),
          List.of(
              "optimized-execution",
              "true or false",
              "true",
              "Whether scripts are rewritten for the shapes that they run with, which makes first runs"
                  + " slower and later ones faster."));

  private static final String PYTORCH_EXAMPLE =
      """

      TorchScript does not say what datatypes and shapes it takes. Without `inputs`, a script that
      was not traced is given whatever is sent under the names of its arguments, or under
      `INPUT__0`, `INPUT__1` and so on; it is not warmed up, and clients that ask for its metadata
      learn no inputs. Outputs are called `OUTPUT__0`, `OUTPUT__1` and so on, or by the keys of a
      dict. Say `max-batch-size: 0` for a model whose first dimension is not that of rows.

      ```yaml
      pytorch:
        inputs:
          - {name: pixels, datatype: FP32, shape: [-1, 64]}
        outputs:
          - {name: logits, datatype: FP32, shape: [-1, 10]}
      ```
      """;

  private static final String TENSORFLOW =
      """

      The section `tensorflow`:

      | key | value | default | what it does |
      |---|---|---|---|
      """;

  /** Keys of the section {@code tensorflow}: key, value, default, description. */
  static final List<List<String>> TENSORFLOW_KEYS =
      List.of(
          List.of(
              "signature",
              "name",
              "serving_default, else the only one",
              "Which signature of the SavedModel is the model."),
          List.of("tags", "list of texts", "serve", "The tags of the graph to load."),
          List.of(
              "inter-op-threads",
              "1 to 1024",
              "1",
              "How many operators of one run may run side by side."),
          List.of(
              "warm-up-requests",
              "true or false",
              "true",
              "Whether the requests in `assets.extra/tf_serving_warmup_requests` are run at load."));

  private static final String BATCHERS =
      """

      The sections `batcher` and `dynamic_batching` stand for settings, which win over them if they
      are given themselves:

      | key | value | is | what it trades |
      |---|---|---|---|
      """;

  /** Other servers' settings of batchers: key, value, ours, description. */
  static final List<List<String>> BATCHER_KEYS =
      List.of(
          List.of(
              "batcher.maxBatchSize",
              "number",
              "`max-batch-size`",
              "A cap here, where KServe's batcher exceeds it: a larger request is run in parts."),
          List.of(
              "batcher.maxLatency",
              "milliseconds",
              "`max-queue-delay`",
              "The most that a request is held back, where KServe's batcher holds each batch that is"
                  + " not full for all of it. For exactly that, add `batch-policy: fixed`."),
          List.of(
              "batcher.timeout",
              "seconds",
              "`timeout`",
              "Requests not answered by then are given up with 504. KServe does not heed it."),
          List.of(
              "dynamic_batching.max_queue_delay_microseconds",
              "microseconds",
              "`max-queue-delay`",
              "As `maxLatency`. 0 never holds a request back."),
          List.of(
              "dynamic_batching.preferred_batch_size",
              "numbers of rows",
              "sizes that batches are cut to",
              "A batch that reaches one of them is cut to the largest that it reaches, where by what"
                  + " was learned of the model that costs no more than 5 % of the mean latency; they"
                  + " are measured when the model is loaded. Nothing waits to reach one, but with"
                  + " `batch-policy: fixed`, which runs a batch of them at once as Triton does. To"
                  + " run the model with few sizes only, give `batch-sizes`."),
          List.of(
              "dynamic_batching.priority_levels",
              "number",
              "the levels of the parameter `priority`",
              "Level 1 goes first, though a request of the next goes before those that come a second"
                  + " later, where Triton lets it wait for ever. Requests that name a level beyond"
                  + " have the default one. Without levels all numbers count."),
          List.of(
              "dynamic_batching.default_priority_level",
              "number",
              "the level of requests that name none",
              "1, if it is not given."),
          List.of(
              "dynamic_batching.default_queue_policy.default_timeout_microseconds",
              "microseconds",
              "`timeout`",
              "Unless `timeout_action` is `DELAY`, which gives nothing up. 0 is none. It counts from"
                  + " arrival to answer, not only while a request waits, and the request parameter"
                  + " `timeout` takes its place, whatever `allow_timeout_override` says."),
          List.of(
              "dynamic_batching.default_queue_policy.max_queue_size",
              "number",
              "`queue-limit`",
              "0 is the default limit, not none. With priority levels, the limit of each."),
          List.of(
              "dynamic_batching.priority_queue_policy",
              "a section for each level",
              "`timeout` and a limit for this level",
              "As the default queue policy, which it takes the place of. `queue-limit` is that of all"
                  + " levels together."));

  private static final String REST =
      """

      ```yaml
      max-batch-size: 16
      instances: 2
      onnx:
        optimization-level: extended
      ```

      ## Platforms

      **KServe.** Its flags are understood as it writes them: `--model_name`, `--model_dir`,
      `--http_port`, `--grpc_port`, and any other setting with underscores. An empty value or
      `<no value>` (what its templates write for what is not there) is as good as no flag. Flags of
      its own model servers that mean nothing here, as `--workers`, are left out with a warning.
      `MODEL_INIT_MODE=async` makes the start wait for the model to appear. When a start fails, the
      reason is written to the termination log, and KServe shows it in the status of the
      InferenceService.

      A `batcher` in an InferenceService makes KServe put a process of its own in front of this one,
      and tells this one nothing. Leave it out: requests are batched here. What it would say can stand
      in `model.yaml`, or on the command line, where `--max-batchsize` and `--max-latency` (in
      milliseconds), as KServe spells them for that process, are `--max-batch-size` and
      `--max-queue-delay`. `KSERVE_OPENAI_ROUTE_PREFIX` is `openai-prefix`; if it is empty, there is
      none.

      **Hopsworks.** `MODEL_FILES_PATH` is what is served and `DEPLOYMENT_NAME` what it is called, as
      above. `CONFIG_FILE_PATH` is the configuration file if it is YAML. `MODEL_NAME`,
      `MODEL_VERSION`, `ARTIFACT_FILES_PATH` and `ARTIFACT_VERSION` are logged at the start.

      **SageMaker.** `serve` alone serves `/opt/ml/model` on port 8080, or on
      `SAGEMAKER_BIND_TO_PORT`. `SAGEMAKER_TRITON_DEFAULT_MODEL_NAME` is `default-model`.

      **Vertex AI.** `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE` are `http-port`,
      `health-route` and `predict-route`. The model has to be in the image or on a volume:
      `AIP_STORAGE_URI` is not fetched.

      ## Traces

      OpenTelemetry's own variables say where spans of requests are sent, if anywhere, and which:
      `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER` and so on, in [tracing.md](tracing.md).

      ## Stopping

      After SIGTERM or SIGINT the server is not ready, but serves on for `drain-delay`. Then it
      accepts no connection, answers HTTP requests with `Connection: close` and tells gRPC clients to
      go elsewhere, finishes what it has accepted within `grace-period`, unloads the models and exits
      with 0. A second SIGINT ends it at once.

      ## Exit codes

      | code | when |
      |---|---|
      | 0 | it was told to stop |
      | 1 | the start failed: a port is taken, a path does not exist, or no model could be loaded |
      | 2 | flags or configuration are wrong |

      If some models load and others fail, it serves those that did load, is not ready, and the log
      says which failed.
      """;

  private ConfigurationPage() {}

  /** The whole page. */
  static String text() {
    StringBuilder page = new StringBuilder(INTRODUCTION);
    for (Group group : Group.values()) {
      page.append("## ").append(group.title()).append("\n\n");
      page.append("| setting | value | default | what it does |\n|---|---|---|---|\n");
      for (Setting<?> setting : ServerSettings.ALL) {
        if (setting.group() == group) {
          row(page, setting);
        }
      }
      page.append('\n');
    }
    page.append(MODEL_FILE);
    for (Setting<?> setting : ServerSettings.ALL) {
      if (setting.group() == Group.MODEL) {
        row(page, setting);
      }
    }
    MODEL_FILE_KEYS.forEach(key -> row(page, key));
    page.append(ONNX);
    ONNX_KEYS.forEach(key -> row(page, key));
    page.append(PythonSection.HEAD);
    PythonSection.KEYS.forEach(key -> row(page, key));
    page.append(PYTORCH);
    PYTORCH_KEYS.forEach(key -> row(page, key));
    page.append(PYTORCH_EXAMPLE);
    page.append(TENSORFLOW);
    TENSORFLOW_KEYS.forEach(key -> row(page, key));
    page.append(BATCHERS);
    BATCHER_KEYS.forEach(key -> row(page, key));
    return page.append(REST).toString();
  }

  private static void row(StringBuilder page, Setting<?> setting) {
    row(
        page,
        List.of(
            setting.key(), setting.type().syntax(), setting.fallbackText(), setting.description()));
  }

  private static void row(StringBuilder page, List<String> cells) {
    page.append("| `").append(cells.getFirst()).append('`');
    for (String cell : cells.subList(1, cells.size())) {
      page.append(" | ").append(cell.replace("|", "\\|"));
    }
    page.append(" |\n");
  }
}
