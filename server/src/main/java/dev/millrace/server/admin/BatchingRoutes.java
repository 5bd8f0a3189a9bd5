package dev.millrace.server.admin;

import dev.millrace.api.ModelId;
import dev.millrace.batcher.policy.LearnedState;
import dev.millrace.batcher.policy.LearnedState.CurvePoint;
import dev.millrace.batcher.policy.LearnedState.HoldState;
import dev.millrace.batcher.policy.LearnedState.ShapeState;
import dev.millrace.runtime.ModelDescription;
import dev.millrace.runtime.ModelLease;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.runtime.Placement;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Shows what the batcher of a model has learned, in JSON: how long batches take by their size, how
 * requests arrive, what holding back would bring. Times are in microseconds. {@code
 * docs/batching.md} explains every key.
 */
public final class BatchingRoutes implements Routes {
  private static final String MODEL = "/admin/models/{model}";

  private final ModelRegistry models;

  /** Routes that show the models of {@code models}. */
  public BatchingRoutes(ModelRegistry models) {
    this.models = models;
  }

  @Override
  public void addTo(Router router) {
    router.add(
        HttpMethod.GET,
        MODEL + "/batching",
        exchange -> show(exchange, ModelId.latest(exchange.variable("model"))));
    router.add(
        HttpMethod.GET,
        MODEL + "/versions/{version}/batching",
        exchange ->
            show(exchange, new ModelId(exchange.variable("model"), exchange.variable("version"))));
  }

  private void show(HttpExchange exchange, ModelId id) {
    ModelDescription description = models.describe(id);
    Optional<LearnedState> learned;
    try (ModelLease lease = models.lease(id)) {
      learned = lease.learned();
    }
    ByteBuf body = exchange.newBody(1024);
    JsonWriter json = JsonWriter.to(body).beginObject();
    json.name("model").string(description.metadata().id().name());
    json.name("version").string(description.metadata().id().version());
    json.name("device").string(description.devices());
    json.name("instances").number(description.instances());
    json.name("threads").number(description.threads());
    json.name("placements").beginArray();
    for (Placement placement : description.placements()) {
      json.beginObject().name("device").string(placement.device().toString());
      json.name("instances").number(placement.instances());
      json.name("threads").number(placement.threads()).endObject();
    }
    json.endArray();
    json.name("max_batch_size").number(description.metadata().maxBatchSize());
    json.name("properties").beginObject();
    for (Map.Entry<String, String> property :
        new TreeMap<>(description.metadata().properties()).entrySet()) {
      json.name(property.getKey()).string(property.getValue());
    }
    json.endObject();
    json.name("learns").bool(learned.isPresent());
    learned.ifPresent(state -> write(json, state));
    json.endObject().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private static void write(JsonWriter json, LearnedState state) {
    json.name("concurrency").number(state.concurrency());
    json.name("standing").bool(state.standing());
    json.name("utilisation").number(state.utilisation());
    json.name("slowdown").beginArray();
    state.slowdown().forEach(json::number);
    json.endArray();
    json.name("shapes").beginArray();
    for (ShapeState shape : state.shapes()) {
      write(json, shape);
    }
    json.endArray();
  }

  private static void write(JsonWriter json, ShapeState shape) {
    json.beginObject().name("shape").number(shape.shape());
    json.name("row_elements").number(shape.rowElements());
    json.name("samples").number(shape.samples());
    json.name("tau_us").number(micros(shape.tauNanos()));
    json.name("alpha_us").number(micros(shape.alphaNanos()));
    json.name("rows_per_second").number(shape.rowsPerSecond());
    json.name("utilisation").number(shape.utilisation());
    json.name("curve").beginArray();
    for (CurvePoint point : shape.curve()) {
      json.beginObject().name("rows").number(point.rows());
      json.name("us").number(micros(point.nanos()));
      json.name("deviation_us").number(micros(point.deviationNanos()));
      json.name("weight").number(point.weight()).endObject();
    }
    json.endArray();
    json.name("holds").beginArray();
    for (HoldState hold : shape.holds()) {
      json.beginObject().name("after").string(hold.completion() ? "completion" : "arrival");
      json.name("least_rows").number(hold.leastRows());
      json.name("decisions").number(hold.decisions());
      json.name("gain").number(hold.gain());
      json.name("hold_us").number(micros(hold.holdNanos())).endObject();
    }
    json.endArray().endObject();
  }

  /** With a tenth of a microsecond. */
  private static double micros(double nanos) {
    return Math.round(nanos / 100) / 10.0;
  }
}
