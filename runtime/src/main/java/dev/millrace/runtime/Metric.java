package dev.millrace.runtime;

import java.util.List;
import java.util.Locale;

/**
 * Every measurement of the runtime: this enum is their documentation, and nothing else gives a
 * meter a name.
 *
 * <p>Time spans are in seconds, memory in bytes. Names are Micrometer's; {@link #prometheusName}
 * has the one that a scrape shows.
 */
public enum Metric {
  REQUESTS(
      "millrace.requests",
      Type.COUNTER,
      "",
      "Requests answered, by outcome: ok or the error code.",
      "model",
      "version",
      "outcome"),
  REQUEST_DURATION(
      "millrace.request.duration",
      Type.TIMER,
      "seconds",
      "From a request being taken over to its answer, all steps included.",
      "model",
      "version"),
  QUEUE_DURATION(
      "millrace.queue.duration",
      Type.TIMER,
      "seconds",
      "Time that a request waited in the batcher before it ran.",
      "model",
      "version"),
  COMPUTE_DURATION(
      "millrace.compute.duration",
      Type.TIMER,
      "seconds",
      "Time of one batch inside the predictor, by the device that it ran on.",
      "model",
      "version",
      "device"),
  TRANSFORMER_DURATION(
      "millrace.transformer.duration",
      Type.TIMER,
      "seconds",
      "Time of one request in one half of a transformer: the verb is preprocess or postprocess.",
      "model",
      "version",
      "transformer",
      "verb"),
  BATCH_SIZE(
      "millrace.batch.size",
      Type.SUMMARY,
      "rows",
      "Rows that the predictor was given at once.",
      "model",
      "version"),
  ROWS(
      "millrace.inference.rows",
      Type.COUNTER,
      "",
      "Rows that the predictor has computed.",
      "model",
      "version"),
  BATCHES(
      "millrace.inference.batches",
      Type.COUNTER,
      "",
      "Batches that the predictor has run, failed ones not counted.",
      "model",
      "version"),
  DISPATCHES(
      "millrace.batches.dispatched",
      Type.COUNTER,
      "",
      "Batches by why they were released as they were: drain took all that waited; full reached the"
          + " cap; sqrt, share and bucket chose a smaller size because that is faster, because other"
          + " instances are free, or because the model is padded to it; hold_target and hold_timeout"
          + " were held back; deadline was sized by deadlines; alone cannot be merged.",
      "model",
      "version",
      "reason"),
  PAD_ROWS(
      "millrace.batches.pad.rows",
      Type.COUNTER,
      "",
      "Rows that nobody asked for, with which batches were filled up to a size.",
      "model",
      "version"),
  CONCURRENCY(
      "millrace.batches.concurrency",
      Type.GAUGE,
      "",
      "Most batches that may run at once now, as learned.",
      "model",
      "version"),
  QUEUE_STANDING(
      "millrace.queue.standing",
      Type.GAUGE,
      "",
      "1 if something was left in the queue at every batch for a while, which is more load than the"
          + " model can take; else 0.",
      "model",
      "version"),
  ROW_DURATION(
      "millrace.batches.row.duration",
      Type.GAUGE,
      "seconds",
      "Time for each waiting row in batches as large as they get, all instances together, as"
          + " learned.",
      "model",
      "version"),
  RUNS_HUNG(
      "millrace.batches.hung",
      Type.GAUGE,
      "",
      "Runs that have not come back for so long that another instance took their place.",
      "model",
      "version"),
  DEVICE_DURATION(
      "millrace.device.used",
      Type.GAUGE,
      "seconds",
      "Time that runs took on a device while they shared it with other models, times their threads.",
      "model",
      "version",
      "device"),
  INSTANCES(
      "millrace.model.instances",
      Type.GAUGE,
      "",
      "Instances of the model on a device, each of which runs one batch at a time.",
      "model",
      "version",
      "device"),
  BATCHES_FAILED(
      "millrace.inference.batches.failed",
      Type.COUNTER,
      "",
      "Batches that the predictor failed to run; their requests run again in halves.",
      "model",
      "version"),
  SHEDS(
      "millrace.requests.shed",
      Type.COUNTER,
      "",
      "Requests given up before they ran, by reason: in_flight_limit for the server's bound, the"
          + " others for the batcher's.",
      "model",
      "version",
      "reason"),
  QUEUED_REQUESTS(
      "millrace.queue.requests",
      Type.GAUGE,
      "",
      "Requests that wait in the batcher.",
      "model",
      "version"),
  QUEUED_BYTES(
      "millrace.queue.memory",
      Type.GAUGE,
      "bytes",
      "Memory of the inputs that wait in the batcher.",
      "model",
      "version"),
  BATCHES_RUNNING(
      "millrace.batches.running",
      Type.GAUGE,
      "",
      "Batches inside predictors now.",
      "model",
      "version"),
  MODEL_REQUESTS_IN_FLIGHT(
      "millrace.model.requests.in.flight",
      Type.GAUGE,
      "",
      "Requests of this version that are taken over and not answered.",
      "model",
      "version"),
  MODEL_READY(
      "millrace.model.ready",
      Type.GAUGE,
      "",
      "1 if this version serves, else 0.",
      "model",
      "version"),
  MODEL_LOAD_DURATION(
      "millrace.model.load.duration",
      Type.GAUGE,
      "seconds",
      "How long the last load of this version took, warm-up included.",
      "model",
      "version"),
  REQUESTS_IN_FLIGHT(
      "millrace.requests.in.flight",
      Type.GAUGE,
      "",
      "Requests that the server has taken over and not answered."),
  MEMORY_IN_FLIGHT(
      "millrace.requests.in.flight.memory",
      Type.GAUGE,
      "bytes",
      "Memory of the inputs of the requests in flight, and of what is held of relayed answers."),
  TENSOR_MEMORY_USED(
      "millrace.tensor.memory.used",
      Type.GAUGE,
      "bytes",
      "Pooled memory outside the heap that open tensors hold."),
  TENSOR_MEMORY_RETAINED(
      "millrace.tensor.memory.retained",
      Type.GAUGE,
      "bytes",
      "Pooled memory outside the heap kept for tensors to come."),
  LOGGER_ACCEPTED(
      "millrace.logger.accepted",
      Type.COUNTER,
      "",
      "Records, two for each inference, that the inference logger took over.",
      "model"),
  LOGGER_SENT(
      "millrace.logger.sent",
      Type.COUNTER,
      "",
      "Messages that the inference logger handed to its sink; again, if sent again.",
      "model"),
  LOGGER_ACKNOWLEDGED(
      "millrace.logger.acknowledged",
      Type.COUNTER,
      "",
      "Messages that the inference logger's sink has for good.",
      "model"),
  LOGGER_DROPPED(
      "millrace.logger.dropped",
      Type.COUNTER,
      "",
      "Records or messages of the inference logger that are lost, by reason: buffer_full and"
          + " spool_full, there was no room in memory or on the disk; spool_corrupt, what was read"
          + " back is not what was written; unencodable; unpaired, the other side of the inference did"
          + " not come; too_large for the sink; refused by the sink; not_sent in time; closed, the"
          + " process ended first.",
      "model",
      "reason"),
  LOGGER_SEND_DURATION(
      "millrace.logger.send.duration",
      Type.TIMER,
      "seconds",
      "From a message being handed to the inference logger's sink to its acknowledgement; of those"
          + " that are acknowledged together, the first.",
      "model"),
  LOGGER_BUFFERED(
      "millrace.logger.buffered",
      Type.GAUGE,
      "bytes",
      "Memory of the records and messages that the inference logger holds."),
  LOGGER_SPOOLED(
      "millrace.logger.spooled",
      Type.GAUGE,
      "bytes",
      "Messages of the inference logger that are on the disk and not acknowledged."),
  LOGGER_LAG(
      "millrace.logger.lag",
      Type.GAUGE,
      "seconds",
      "Age of the oldest record that the inference logger's sink does not have."),
  GENERATION_DURATION(
      "gen_ai.server.request.duration",
      Type.TIMER,
      "seconds",
      "From a request for a language model, to its answer being complete; error.type is empty if it"
          + " succeeded. This and the following have the names of OpenTelemetry's conventions.",
      "gen_ai.operation.name",
      "gen_ai.request.model",
      "server.address",
      "error.type"),
  GENERATION_FIRST_TOKEN(
      "gen_ai.server.time_to_first_token",
      Type.TIMER,
      "seconds",
      "From a request being sent to an upstream to the first event of its stream.",
      "gen_ai.operation.name",
      "gen_ai.request.model",
      "server.address"),
  GENERATION_OUTPUT_TOKEN(
      "gen_ai.server.time_per_output_token",
      Type.TIMER,
      "seconds",
      "Time between the first and the last event of a stream, for each token after the first.",
      "gen_ai.operation.name",
      "gen_ai.request.model",
      "server.address"),
  GENERATION_TOKENS(
      "gen_ai.client.token.usage",
      Type.SUMMARY,
      "",
      "Tokens of a request (gen_ai.token.type is input) or an answer (output), as the upstream"
          + " counts them.",
      "gen_ai.operation.name",
      "gen_ai.request.model",
      "server.address",
      "gen_ai.token.type"),
  UPSTREAM_REQUESTS(
      "millrace.upstream.requests.in.flight",
      Type.GAUGE,
      "",
      "Requests that an upstream of a language model is answering.",
      "model",
      "upstream"),
  UPSTREAM_FIT(
      "millrace.upstream.fit",
      Type.GAUGE,
      "",
      "1 if an upstream of a language model gets requests, 0 while its health check fails or it is"
          + " out of service after failures.",
      "model",
      "upstream"),
  UPSTREAM_RETRIES(
      "millrace.upstream.retries",
      Type.COUNTER,
      "",
      "Requests for a language model that were sent to another upstream after one failed.",
      "model"),
  UPSTREAM_QUEUE(
      "millrace.upstream.queue.requests",
      Type.GAUGE,
      "",
      "Requests that wait for the limits of a language model.",
      "model"),
  SPANS(
      "millrace.spans",
      Type.COUNTER,
      "",
      "Spans of traced requests, by outcome: exported, failed, or dropped because too many waited.",
      "outcome"),
  KSERVE_PREPROCESS(
      "request.preprocess",
      Type.TIMER,
      "seconds",
      "Time in the preprocessing steps, if there are any, under the name that KServe's dashboards"
          + " read.",
      "model_name"),
  KSERVE_PREDICT(
      "request.predict",
      Type.TIMER,
      "seconds",
      "Time in the batcher and the predictor, under the name that KServe's dashboards read.",
      "model_name"),
  KSERVE_POSTPROCESS(
      "request.postprocess",
      Type.TIMER,
      "seconds",
      "Time in the postprocessing steps, if there are any, under the name that KServe's dashboards"
          + " read.",
      "model_name");

  /** What kind of meter it is. */
  public enum Type {
    COUNTER,
    GAUGE,
    /** A histogram of seconds with fixed buckets. */
    TIMER,
    /** A histogram of another unit with fixed buckets. */
    SUMMARY
  }

  private final String meterName;
  private final Type type;
  private final String unit;
  private final String help;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  private final List<String> tags;

  Metric(String meterName, Type type, String unit, String help, String... tags) {
    this.meterName = meterName;
    this.type = type;
    this.unit = unit;
    this.help = help;
    this.tags = List.of(tags);
  }

  /** The name in Micrometer. */
  public String meterName() {
    return meterName;
  }

  public Type type() {
    return type;
  }

  /** Base unit; empty for plain numbers. */
  public String unit() {
    return unit;
  }

  /** What it measures, in one sentence. */
  public String help() {
    return help;
  }

  /** Names of its tags, in order. */
  public List<String> tags() {
    return tags;
  }

  /** The name in Prometheus; histograms add {@code _bucket}, {@code _sum} and {@code _count}. */
  public String prometheusName() {
    String name = meterName.replace('.', '_').toLowerCase(Locale.ROOT);
    String withUnit = unit.isEmpty() ? name : name + "_" + unit;
    return type == Type.COUNTER ? withUnit + "_total" : withUnit;
  }
}
