package dev.millrace.server.v2;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.runtime.ModelState;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.server.http.Answer;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.http.Router;
import dev.millrace.server.http.Routes;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpMethod;

/** The paths of the model repository extension. */
final class RepositoryRoutes implements Routes {
  private static final String ANY_REPOSITORY = "/v2/repository/{repository}";

  private final ModelRegistry models;

  RepositoryRoutes(ModelRegistry models) {
    this.models = models;
  }

  @Override
  public void addTo(Router router) {
    router.add(HttpMethod.POST, "/v2/repository/index", this::index);
    router.add(HttpMethod.POST, "/v2/repository/models/{model}/load", this::load);
    router.add(HttpMethod.POST, "/v2/repository/models/{model}/unload", this::unload);
    for (String path : new String[] {"/index", "/models/{model}/load", "/models/{model}/unload"}) {
      router.add(HttpMethod.POST, ANY_REPOSITORY + path, RepositoryRoutes::named);
    }
  }

  private static void named(HttpExchange exchange) {
    throw new InferenceException(
        ErrorCode.UNIMPLEMENTED, "'repository_name' specification is not supported");
  }

  private void index(HttpExchange exchange) {
    boolean readyOnly = RepositoryRequest.read(exchange.body()).ready();
    ByteBuf body = exchange.newBody(512);
    JsonWriter json = JsonWriter.to(body).beginArray();
    for (ModelStatus status : models.index()) {
      if (!readyOnly || status.state() == ModelState.READY) {
        write(json, status);
      }
    }
    json.endArray().finish();
    exchange.respond(200, HttpExchange.JSON, body);
  }

  private static void write(JsonWriter json, ModelStatus status) {
    json.beginObject().name("name").string(status.name());
    // A model that was never loaded has a name only.
    if (status.state() != ModelState.UNKNOWN) {
      json.name("version").string(status.version());
      json.name("state").string(status.state().name());
      json.name("reason").string(status.reason());
    }
    json.endObject();
  }

  private void load(HttpExchange exchange) {
    String model = exchange.variable("model");
    RepositoryRequest request = RepositoryRequest.read(exchange.body());
    exchange.await(
        models.load(model, LoadParameters.overrides(model, request.parameters())),
        new Done(model, "load"));
  }

  private void unload(HttpExchange exchange) {
    String model = exchange.variable("model");
    var _ = RepositoryRequest.read(exchange.body());
    exchange.await(models.unload(model), new Done(model, "unload"));
  }

  /** Says that something was done to a model. */
  private static final class Done extends Answer<Void> {
    private final String model;
    private final String what;

    Done(String model, String what) {
      this.model = model;
      this.what = what;
    }

    @Override
    protected void write(HttpExchange exchange, Void nothing) {
      ByteBuf body = exchange.newBody(64);
      JsonWriter json = JsonWriter.to(body).beginObject().name("name").string(model);
      json.name(what).bool(true).endObject().finish();
      exchange.respond(200, HttpExchange.JSON, body);
    }
  }
}
