package dev.millrace.server;

import dev.millrace.runtime.BatchingOptions.Mode;
import dev.millrace.runtime.BatchingOptions.Policy;
import dev.millrace.runtime.DeviceChoice;
import dev.millrace.runtime.ModelPath;
import dev.millrace.runtime.RuntimeConfig;
import dev.millrace.runtime.VersionLabels;
import dev.millrace.runtime.VersionPolicy;
import dev.millrace.server.Setting.Group;
import dev.millrace.server.grpc.GrpcConfig;
import dev.millrace.server.http.HttpConfig;
import dev.millrace.server.llm.LlmConfig;
import dev.millrace.server.log.LogLevel;
import dev.millrace.server.transport.TransportConfig;
import dev.millrace.server.v1.V1Config;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * All that can be configured. Flags, environment variables, {@code millrace.yaml}, the help and
 * {@code docs/configuration.md} come from this table.
 */
final class ServerSettings {
  private static final List<Setting<?>> TABLE = new ArrayList<>();
  private static final HttpConfig HTTP = HttpConfig.defaults();
  private static final GrpcConfig GRPC = GrpcConfig.defaults();
  private static final TransportConfig TRANSPORT = TransportConfig.of(8080, 8081);
  private static final RuntimeConfig RUNTIME = RuntimeConfig.of(List.of());

  static final Setting<List<ModelPath>> MODEL =
      open(
          "model",
          Group.MODELS,
          ModelPlaces.type(),
          "see [Where models come from](#where-models-come-from)",
          "Model file, directory with one model, or repository of models. On the command line, the"
              + " arguments without a flag; in the file, a path, or a list of paths or of `path`"
              + " and `name`.");
  static final Setting<String> MODEL_NAME =
      open(
          "model-name",
          Group.MODELS,
          ValueType.text("name"),
          "name of the directory or file",
          "What the model is called in requests. Only where there is one model.");
  static final Setting<Duration> MODEL_WAIT =
      open(
          "model-wait",
          Group.MODELS,
          ValueType.time(),
          "0s; 10m if `MODEL_INIT_MODE` is `async`",
          "How long to wait at the start for a path that does not exist yet.");

  static final Setting<Duration> POLL_INTERVAL =
      open(
          "poll-interval",
          Group.MODELS,
          ValueType.time(),
          "0s, which is never",
          "How often to look for models and versions that came, changed or went. What is new is"
              + " loaded once its files have stayed the same for one interval, and what is gone is"
              + " unloaded; a model that failed to load is tried again when its files change.");

  static final Setting<String> CALIBRATION_CACHE =
      open(
          "calibration-cache",
          Group.MODELS,
          ValueType.text("directory"),
          "`millrace` in `XDG_CACHE_HOME`, else in `.cache` of the home directory",
          "Where the results of calibration are kept, so that a model is measured once for each kind"
              + " of machine; `none` to measure at every start. A directory that cannot be written"
              + " to is as good as none.");

  static final Setting<String> BACKEND =
      open(
          "backend",
          Group.MODEL,
          ValueType.text("name"),
          "the first that recognises the files",
          "Engine that loads the model.");
  static final Setting<DeviceChoice> DEVICE =
      open(
          "device",
          Group.MODEL,
          ValueType.device(),
          "auto",
          "Where the model runs. `auto` takes the GPUs that are there, else"
              + " the CPU; `gpu` spreads the instances over all GPUs. A device that is not there fails"
              + " the load, and the error says what is missing.");
  static final Setting<Integer> INSTANCES =
      open(
          "instances",
          Group.MODEL,
          ValueType.number(1, 1024),
          "what calibration finds best on a CPU, else the processors divided by `threads`; 1 on each"
              + " GPU",
          "How many instances of the model run at the same time. More serve more requests side by"
              + " side, each with a smaller batch.");
  static final Setting<Integer> THREADS =
      open(
          "threads",
          Group.MODEL,
          ValueType.number(1, 1024),
          "what calibration finds best on a CPU, else 1, or the processors divided by `instances`"
              + " if those are given",
          "Threads that one run of the model may use inside the engine. More make a lone request"
              + " faster and leave less for other instances.");
  static final Setting<Integer> MAX_BATCH_SIZE =
      open(
          "max-batch-size",
          Group.MODEL,
          ValueType.number(0, 1 << 20),
          "what the model declares, or 64 if it is batchable without a bound",
          "Most rows that the model is given at once. 0 never merges requests. Larger batches may"
              + " raise throughput; each takes longer, and more memory.");
  static final Setting<Mode> BATCHING =
      open(
          "batching",
          Group.MODEL,
          ValueType.oneOf(Mode.class),
          "verify",
          "Whether requests share a batch. `verify` runs a few made-up rows alone and together when"
              + " the model is loaded, and does not merge if the results differ; `on` trusts what"
              + " the model declares; `off` never merges.");
  static final Setting<Policy> BATCH_POLICY =
      open(
          "batch-policy",
          Group.MODEL,
          ValueType.oneOf(Policy.class),
          "adaptive",
          "What decides when a batch runs and how large it is. `adaptive` learns how long batches"
              + " take and how requests arrive; `greedy` takes what waits as soon as an instance is"
              + " free; `fixed` waits for `max-batch-size` rows or `max-queue-delay`, as other"
              + " servers do, also while instances are idle.");
  static final Setting<Duration> LATENCY_TARGET =
      open(
          "latency-target",
          Group.MODEL,
          ValueType.positiveTime(),
          "none",
          "How long a request shall take at most, from its arrival to its answer, for"
              + " `batch-policy: adaptive`. Batches are kept small enough for it, which costs"
              + " throughput under load if it is short.");
  static final Setting<Duration> MAX_QUEUE_DELAY =
      open(
          "max-queue-delay",
          Group.MODEL,
          ValueType.time(),
          "for `adaptive`, half of the time of one row, or all of it while saturated; for `fixed`,"
              + " 0s",
          "How long a request may be held back for others to join its batch. `adaptive` holds only"
              + " where it has seen that this pays, and never longer; 0s never holds. `fixed` holds"
              + " each batch that is not full for this time, so that every request waits longer when"
              + " traffic is low.");
  static final Setting<List<Integer>> BATCH_SIZES =
      open(
          "batch-sizes",
          Group.MODEL,
          ValueType.batchSizes(),
          "any",
          "Sizes that the model is run with. A batch is filled up to the next of them with copies"
              + " of a row, which are computed for nothing, but an engine that prepares itself for"
              + " each size has few to prepare for.");
  static final Setting<Integer> DEVICE_SHARE =
      open(
          "device-share",
          Group.MODEL,
          ValueType.number(1, 1000),
          "1",
          "Weight of the model among those that share a device: while several have work, each gets"
              + " time in proportion to its weight.");
  static final Setting<Integer> QUEUE_LIMIT =
      open(
          "queue-limit",
          Group.MODEL,
          ValueType.number(1, Integer.MAX_VALUE),
          "4096",
          "Requests that may wait for a model. More are refused with 429 or RESOURCE_EXHAUSTED.");
  static final Setting<Long> QUEUE_BYTES =
      open(
          "queue-bytes",
          Group.MODEL,
          ValueType.size(1),
          "512MB",
          "Memory that the inputs of waiting requests may take. More are refused likewise.");
  static final Setting<Duration> TIMEOUT =
      open(
          "timeout",
          Group.MODEL,
          ValueType.positiveTime(),
          "none",
          "Time after which a request that says nothing else is given up.");
  static final Setting<VersionPolicy> VERSION_POLICY =
      open(
          "version-policy",
          Group.MODEL,
          ValueType.versionPolicy(),
          "latest",
          "Which versions are served.");
  static final Setting<VersionLabels> VERSION_LABELS =
      open(
          "version-labels",
          Group.MODEL,
          ValueType.versionLabels(),
          "none",
          "Names for versions, by which clients of TF Serving's protocols can ask for them.");
  static final Setting<Boolean> WARM_UP =
      open(
          "warm-up",
          Group.MODEL,
          ValueType.bool(),
          "true",
          "Whether the model runs once before it serves, so that the first request is not slow."
              + " Without, it is neither verified nor calibrated.");
  static final Setting<Duration> CALIBRATION_TIME =
      open(
          "calibration-time",
          Group.MODEL,
          ValueType.time(),
          "2s",
          "How long a model may be measured before it serves, to choose `instances` and `threads`"
              + " where they are not given, and for `batch-policy: adaptive` to know how long"
              + " batches take. 0s serves sooner, and learns while it serves.");

  static final Setting<String> HOST =
      open(
          "host",
          Group.NETWORK,
          ValueType.text("address"),
          "all addresses",
          "Address to listen on.");
  static final Setting<Integer> HTTP_PORT =
      fixed(
          "http-port",
          Group.NETWORK,
          ValueType.port(),
          TRANSPORT.port(),
          "Port for HTTP/1.1 and gRPC.");
  static final Setting<Integer> GRPC_PORT =
      fixed(
          "grpc-port",
          Group.NETWORK,
          ValueType.portOrNone(TransportConfig.NONE),
          TRANSPORT.grpcPort(),
          "Port for gRPC alone.");
  static final Setting<String> SERVER_NAME =
      fixed(
          "server-name",
          Group.NETWORK,
          ValueType.text("name"),
          "millrace",
          "What the server calls itself in its metadata.");
  static final Setting<Integer> IO_THREADS =
      open(
          "io-threads",
          Group.NETWORK,
          ValueType.number(1, 1024),
          "the processors",
          "Threads that read from and write to connections.");
  static final Setting<Integer> PROCESSORS =
      open(
          "processors",
          Group.NETWORK,
          ValueType.number(1, 1024),
          "what the container or machine has",
          "Processors to share out among the threads of connections and models.");
  static final Setting<Integer> INLINE_BODY_SIZE =
      fixed(
          "inline-body-size",
          Group.NETWORK,
          ValueType.intSize(0),
          HTTP.inlineBodySize(),
          "Largest HTTP body that is decoded by the thread that read it. Larger ones go to worker"
              + " threads, so that other connections need not wait.");
  static final Setting<Integer> MIN_COMPRESSED_SIZE =
      fixed(
          "min-compressed-size",
          Group.NETWORK,
          ValueType.intSize(0),
          HTTP.minCompressedSize(),
          "Smallest HTTP answer with predictions, or of metrics, that is compressed for a client that"
              + " accepts it. Other answers are not: some of Triton's clients accept compression, but"
              + " expect none of them.");
  static final Setting<Boolean> GRPC_REFLECTION =
      fixed(
          "grpc-reflection",
          Group.NETWORK,
          ValueType.bool(),
          GRPC.reflection(),
          "Whether gRPC clients may ask for the services and their messages, as grpcurl does.");
  static final Setting<Boolean> KSERVE_BATCH_KEYS =
      fixed(
          "kserve-batch-keys",
          Group.NETWORK,
          ValueType.bool(),
          V1Config.defaults().batchKeys(),
          "Whether V1 answers carry `message`, which is empty, and `batchId`, the request's id,"
              + " beside `predictions`, for clients that know KServe's batcher.");
  static final Setting<String> OPENAI_PREFIX =
      fixed(
          "openai-prefix",
          Group.NETWORK,
          ValueType.path(),
          LlmConfig.defaults().prefix(),
          "Path behind which OpenAI's API is served too, beside the root; `/` for none. `/openai` gives"
              + " `/openai/v1/chat/completions`.");
  static final Setting<String> API_KEYS_FILE =
      open(
          "api-keys-file",
          Group.NETWORK,
          ValueType.text("file"),
          "none, and nobody is asked for a key",
          "File with the keys that clients of OpenAI's API must have: one on each line, perhaps"
              + " after a name and a blank. It is read again when it changes.");
  static final Setting<Boolean> SYSTEM_SHARED_MEMORY =
      fixed(
          "system-shared-memory",
          Group.NETWORK,
          ValueType.bool(),
          false,
          "Whether V2 clients on the same machine may share memory objects of `/dev/shm` with the"
              + " server, for tensors that then need not be sent. Every client can use every region"
              + " that one of them has registered.");
  static final Setting<String> DEFAULT_MODEL =
      open(
          "default-model",
          Group.NETWORK,
          ValueType.text("name"),
          "the only one there is; on SageMaker `SAGEMAKER_TRITON_DEFAULT_MODEL_NAME`",
          "Model for requests to `/invocations` and `predict-route`, which name none.");
  static final Setting<String> HEALTH_ROUTE =
      open(
          "health-route",
          Group.NETWORK,
          ValueType.path(),
          "none; on Vertex AI `AIP_HEALTH_ROUTE`",
          "One more path that says whether the server is ready.");
  static final Setting<String> PREDICT_ROUTE =
      open(
          "predict-route",
          Group.NETWORK,
          ValueType.path(),
          "none; on Vertex AI `AIP_PREDICT_ROUTE`",
          "One more path for requests to `default-model`, of V1 or V2.");

  static final Setting<Integer> MAX_BODY_SIZE =
      fixed(
          "max-body-size",
          Group.LIMITS,
          ValueType.intSize(1),
          HTTP.maxBodySize(),
          "Body of an HTTP request as sent. More is answered with 413.");
  static final Setting<Integer> MAX_DECOMPRESSED_SIZE =
      fixed(
          "max-decompressed-size",
          Group.LIMITS,
          ValueType.intSize(1),
          HTTP.maxDecompressedSize(),
          "Compressed body of an HTTP request once it is decompressed. More is answered with 413.");
  static final Setting<Integer> MAX_HEADER_SIZE =
      fixed(
          "max-header-size",
          Group.LIMITS,
          ValueType.intSize(256),
          HTTP.maxHeaderSize(),
          "All headers of an HTTP request, and its first line. More is answered with 431 or 414. Also"
              + " the metadata of a gRPC call.");
  static final Setting<Integer> MAX_PIPELINED_REQUESTS =
      fixed(
          "max-pipelined-requests",
          Group.LIMITS,
          ValueType.number(1, 65_536),
          HTTP.maxPipelined(),
          "Requests of one HTTP/1.1 connection in flight at once. Further ones wait unread.");
  static final Setting<Integer> MAX_IN_FLIGHT_REQUESTS =
      fixed(
          "max-in-flight-requests",
          Group.LIMITS,
          ValueType.number(1, Integer.MAX_VALUE),
          RUNTIME.maxInFlightRequests(),
          "Requests of all models that are accepted and not answered. More are refused with 429"
              + " or RESOURCE_EXHAUSTED.");
  static final Setting<Long> MAX_IN_FLIGHT_BYTES =
      open(
          "max-in-flight-bytes",
          Group.LIMITS,
          ValueType.size(1),
          "2GB, or what the heap may grow to if that is less",
          "Memory that their inputs may take, and what is held of relayed answers. A request that is"
              + " alone may be larger. Requests that are still arriving are refused likewise once they"
              + " fill three quarters of the JVM's memory for buffers, which is as much as the"
              + " heap unless `-XX:MaxDirectMemorySize` says otherwise.");
  static final Setting<Duration> DETECTION_TIMEOUT =
      fixed(
          "detection-timeout",
          Group.LIMITS,
          ValueType.positiveTime(),
          TRANSPORT.detectionTimeout(),
          "Time in which a new connection has to show which protocol it speaks.");
  static final Setting<Duration> IDLE_TIMEOUT =
      fixed(
          "idle-timeout",
          Group.LIMITS,
          ValueType.positiveTime(),
          HTTP.idleTimeout(),
          "Time after which an HTTP/1.1 connection without a request is closed. Keep it above the"
              + " one of a proxy in front, or the proxy sends requests into closed connections.");
  static final Setting<Duration> REQUEST_TIMEOUT =
      fixed(
          "request-timeout",
          Group.LIMITS,
          ValueType.positiveTime(),
          HTTP.requestTimeout(),
          "Time in which an HTTP request has to arrive, plus a second for each 64KB of its body.");
  static final Setting<Duration> WRITE_TIMEOUT =
      fixed(
          "write-timeout",
          Group.LIMITS,
          ValueType.positiveTime(),
          HTTP.writeTimeout(),
          "Time after which an HTTP/1.1 connection is closed whose client takes nothing of its"
              + " answer.");
  static final Setting<Integer> GRPC_MAX_MESSAGE_SIZE =
      fixed(
          "grpc-max-message-size",
          Group.LIMITS,
          ValueType.intSize(1),
          GRPC.maxMessageSize(),
          "Message of a gRPC client, decompressed. More is answered with RESOURCE_EXHAUSTED.");
  static final Setting<Integer> GRPC_MAX_CALLS =
      fixed(
          "grpc-max-calls",
          Group.LIMITS,
          ValueType.number(1, Integer.MAX_VALUE),
          GRPC.maxCallsPerConnection(),
          "Calls of one gRPC connection in flight at once. Clients hold back further ones.");
  static final Setting<Duration> GRPC_MIN_PING_INTERVAL =
      fixed(
          "grpc-min-ping-interval",
          Group.LIMITS,
          ValueType.positiveTime(),
          GRPC.permitKeepAliveTime(),
          "Shortest time between the keep-alive pings of a gRPC client. One that pings more often is"
              + " disconnected.");
  static final Setting<Duration> GRPC_IDLE_TIMEOUT =
      fixed(
          "grpc-idle-timeout",
          Group.LIMITS,
          ValueType.positiveTime(),
          GRPC.idleTimeout(),
          "Time after which a gRPC connection without a call is closed. Its client opens a new one"
              + " for its next call.");

  static final Setting<Duration> DRAIN_DELAY =
      open(
          "drain-delay",
          Group.LIFE,
          ValueType.time(),
          "5s in Kubernetes (`KUBERNETES_SERVICE_HOST` is set), but 0s in Knative (`K_REVISION` is"
              + " set) and elsewhere",
          "How long to serve on, but not ready, after SIGTERM, until load balancers have seen it.");
  static final Setting<Duration> GRACE_PERIOD =
      fixed(
          "grace-period",
          Group.LIFE,
          ValueType.time(),
          Duration.ofSeconds(25),
          "How long accepted requests may take to finish after SIGTERM and `drain-delay`. The"
              + " pod's `terminationGracePeriodSeconds` has to be more than both together.");
  static final Setting<String> TERMINATION_LOG =
      fixed(
          "termination-log",
          Group.LIFE,
          ValueType.text("path"),
          "/dev/termination-log",
          "File that is told why a start failed, if it can be written.");

  static final Setting<LogLevel> LOG_LEVEL =
      fixed(
          "log-level",
          Group.OBSERVING,
          ValueType.oneOf(LogLevel.class),
          LogLevel.INFO,
          "What is logged: this level and the ones before it.");
  static final Setting<LogFormat> LOG_FORMAT =
      fixed(
          "log-format",
          Group.OBSERVING,
          ValueType.oneOf(LogFormat.class),
          LogFormat.TEXT,
          "One line of text for each event, or one JSON object on one line.");

  static final Setting<String> LOGGER_SINK =
      open(
          "logger-sink",
          Group.LOGGER,
          ValueType.text("name"),
          "`file`; there is no inference log unless one of these settings is given",
          "Where the inference log goes: `kafka`, `http`, `file`, `stdout`, or another sink that is"
              + " installed. The page `logging.md` has all about it.");
  static final Setting<String> LOGGER_MODE =
      open(
          "logger-mode",
          Group.LOGGER,
          ValueType.text("mode"),
          "all",
          "What is logged: `all`, `model-inputs` (or `request`), `predictions` (or `response`) or"
              + " `none`.");
  static final Setting<String> LOGGER_SAMPLE_RATE =
      open(
          "logger-sample-rate",
          Group.LOGGER,
          ValueType.text("0 to 1"),
          "1",
          "Part of the inferences that is logged. Both sides of one are, or none.");
  static final Setting<String> LOGGER_SAMPLE_HEADER =
      open(
          "logger-sample-header",
          Group.LOGGER,
          ValueType.text("header"),
          "none",
          "Header of a request that decides on it whatever the rate: `true` or `false`.");
  static final Setting<Integer> LOGGER_PAYLOAD_LIMIT =
      open(
          "logger-payload-limit",
          Group.LOGGER,
          ValueType.intSize(0),
          "256KB",
          "Bytes of tensors that a record keeps. The rest is cut, and the record says so.");
  static final Setting<Boolean> LOGGER_ERRORS =
      open(
          "logger-errors",
          Group.LOGGER,
          ValueType.bool(),
          "true",
          "Whether failed inferences have a record of their answer, with its code. KServe's logger"
              + " has none.");
  static final Setting<String> LOGGER_FORMAT =
      open(
          "logger-format",
          Group.LOGGER,
          ValueType.text("format"),
          "`hopsworks-v4` to Kafka in Hopsworks, else `cloudevents` to Kafka and HTTP, else `json`",
          "What a message is: `hopsworks-v4`, `hopsworks-v3`, `cloudevents`,"
              + " `cloudevents-structured`, `json` or `protobuf`.");
  static final Setting<String> LOGGER_PAYLOAD =
      open(
          "logger-payload",
          Group.LOGGER,
          ValueType.text("form"),
          "auto",
          "How tensors are written in it: `v1`, `v2`, `auto` for the protocol that the request came"
              + " by, or `raw` for bytes.");
  static final Setting<String> LOGGER_DELIVERY =
      open(
          "logger-delivery",
          Group.LOGGER,
          ValueType.text("promise"),
          "best-effort",
          "`best-effort` keeps records in memory; `at-least-once` on disk, until they have arrived.");
  static final Setting<String> LOGGER_WHEN_FULL =
      open(
          "logger-when-full",
          Group.LOGGER,
          ValueType.text("what"),
          "drop",
          "What becomes of inferences that there is no room to log: `drop` serves them without,"
              + " `refuse` answers 429 or RESOURCE_EXHAUSTED.");
  static final Setting<Long> LOGGER_BUFFER =
      open(
          "logger-buffer",
          Group.LOGGER,
          ValueType.size(64 << 10),
          "64MB",
          "Memory that records may take before they are sent.");
  static final Setting<String> LOGGER_SPOOL =
      open(
          "logger-spool",
          Group.LOGGER,
          ValueType.text("directory"),
          "none",
          "Directory of what `at-least-once` keeps, on a volume that outlives the process.");
  static final Setting<Long> LOGGER_SPOOL_SIZE =
      open(
          "logger-spool-size",
          Group.LOGGER,
          ValueType.size(64 << 10),
          "1GB",
          "Room that it may take.");
  static final Setting<String> LOGGER_SPOOL_SYNC =
      open(
          "logger-spool-sync",
          Group.LOGGER,
          ValueType.text("when"),
          "never",
          "When what is in it is forced to the device: `always` before it is sent, a time as in `1s`,"
              + " or `never`, which leaves it to the system. Only a crash of the machine makes a"
              + " difference.");
  static final Setting<String> LOGGER_BROKERS =
      open(
          "logger-brokers",
          Group.LOGGER,
          ValueType.text("addresses"),
          "none",
          "Kafka's brokers, as in `kafka-1:9092,kafka-2:9092`.");
  static final Setting<String> LOGGER_TOPIC =
      open(
          "logger-topic",
          Group.LOGGER,
          ValueType.text("name"),
          "none",
          "Kafka's topic; `{model}` in it stands for the model's name.");
  static final Setting<Boolean> LOGGER_TOPIC_CREATE =
      open(
          "logger-topic-create",
          Group.LOGGER,
          ValueType.bool(),
          "false",
          "Whether a topic that does not exist is made.");
  static final Setting<Integer> LOGGER_TOPIC_PARTITIONS =
      open(
          "logger-topic-partitions",
          Group.LOGGER,
          ValueType.number(1, 10_000),
          "1",
          "With how many partitions.");
  static final Setting<Integer> LOGGER_TOPIC_REPLICAS =
      open(
          "logger-topic-replicas",
          Group.LOGGER,
          ValueType.number(1, 100),
          "1",
          "With how many replicas.");
  static final Setting<String> LOGGER_KEY =
      open(
          "logger-key",
          Group.LOGGER,
          ValueType.text("what"),
          "`none` for the Hopsworks formats, else `inference-id`",
          "What messages are keyed by: `none`, `inference-id` or `model`, which keeps a model's"
              + " messages in order if the topic has several partitions.");
  static final Setting<Map<String, Object>> LOGGER_KAFKA =
      open(
          "logger-kafka",
          Group.LOGGER,
          ValueType.properties(),
          "none",
          "Settings of Kafka's own producer, as in `security.protocol=SSL;compression.type=zstd`;"
              + " in the file, a section. The log of the start shows their names only.");
  static final Setting<String> LOGGER_SCHEMA_REGISTRY =
      open(
          "logger-schema-registry",
          Group.LOGGER,
          ValueType.text("address"),
          "none",
          "Registry whose subject `inferenceschema` is compared with what is written.");
  static final Setting<Boolean> LOGGER_SCHEMA_HEADER =
      open(
          "logger-schema-header",
          Group.LOGGER,
          ValueType.bool(),
          "false",
          "Whether Avro begins with a registry's five bytes. Hopsworks' readers expect none.");
  static final Setting<Integer> LOGGER_SCHEMA_ID =
      open(
          "logger-schema-id",
          Group.LOGGER,
          ValueType.number(0, Integer.MAX_VALUE),
          "what the registry says",
          "Number of the schema in them.");
  static final Setting<String> LOGGER_URL =
      open(
          "logger-url",
          Group.LOGGER,
          ValueType.text("address"),
          "none",
          "Where the sink `http` posts events.");
  static final Setting<String> LOGGER_FILE =
      open(
          "logger-file",
          Group.LOGGER,
          ValueType.text("path"),
          "inference.log",
          "File of the sink `file`.");
  static final Setting<Long> LOGGER_FILE_SIZE =
      open(
          "logger-file-size",
          Group.LOGGER,
          ValueType.size(1),
          "100MB",
          "Size at which it gives way to a new one.");
  static final Setting<Integer> LOGGER_FILES =
      open(
          "logger-files",
          Group.LOGGER,
          ValueType.number(1, 10_000),
          "10",
          "How many of them are kept.");
  static final Setting<Integer> LOGGER_SERVING_ID =
      open(
          "logger-serving-id",
          Group.LOGGER,
          ValueType.number(0, Integer.MAX_VALUE),
          "0",
          "Number of the deployment, for the Hopsworks formats.");
  static final Setting<String> LOGGER_METADATA_HEADERS =
      open(
          "logger-metadata-headers",
          Group.LOGGER,
          ValueType.text("headers"),
          "none",
          "Headers of requests, with commas between, that CloudEvents repeat.");
  static final Setting<String> LOGGER_PROVIDER =
      open(
          "logger-provider",
          Group.LOGGER,
          ValueType.text("name"),
          "millrace",
          "Which of the installed loggers writes the log.");

  /** All settings, by group. */
  static final List<Setting<?>> ALL = List.copyOf(TABLE);

  /** Where KServe and SageMaker mount a model: served if nothing else is named. */
  static final List<Path> DEFAULT_PLACES =
      List.of(Path.of("/mnt/models"), Path.of("/opt/ml/model"));

  private ServerSettings() {}

  /** The setting of that key. */
  static Optional<Setting<?>> find(String key) {
    for (Setting<?> setting : ALL) {
      if (setting.key().equals(key)) {
        return Optional.of(setting);
      }
    }
    return Optional.empty();
  }

  private static <T> Setting<T> fixed(
      String key, Group group, ValueType<T> type, T fallback, String description) {
    return add(
        new Setting<>(
            key, group, type, Optional.of(fallback), type.writer().apply(fallback), description));
  }

  private static <T> Setting<T> open(
      String key, Group group, ValueType<T> type, String fallbackText, String description) {
    return add(new Setting<>(key, group, type, Optional.empty(), fallbackText, description));
  }

  private static <T> Setting<T> add(Setting<T> setting) {
    TABLE.add(setting);
    return setting;
  }
}
