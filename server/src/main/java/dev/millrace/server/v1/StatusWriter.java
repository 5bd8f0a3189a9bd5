package dev.millrace.server.v1;

import dev.millrace.api.ModelId;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.TensorSpec;
import dev.millrace.runtime.ModelStatus;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import java.util.List;
import java.util.function.UnaryOperator;

/** Writes what the protocols tell of models: which there are, their states, their signatures. */
final class StatusWriter {
  private static final String OWNER = "millrace";

  private final long startSeconds;

  /**
   * @param startSeconds when the server started, in seconds since 1970
   */
  StatusWriter(long startSeconds) {
    this.startSeconds = startSeconds;
  }

  /** All models: for KServe under {@code models}, for OpenAI's clients under {@code data}. */
  void models(List<String> names, List<String> openAiNames, ByteBuf out) {
    JsonWriter json = JsonWriter.to(out).beginObject();
    json.name("models").beginArray();
    names.forEach(json::string);
    json.endArray();
    json.name("object").string("list");
    json.name("data").beginArray();
    for (String name : openAiNames) {
      json.beginObject();
      openAi(json, name);
      json.endObject();
    }
    json.endArray().endObject().finish();
  }

  private void openAi(JsonWriter json, String name) {
    json.name("id").string(name);
    json.name("object").string("model");
    json.name("created").number(startSeconds);
    json.name("owned_by").string(OWNER);
  }

  /** One model in the forms of KServe, TF Serving and OpenAI, whose members do not clash. */
  void model(String name, boolean ready, List<ModelStatus> versions, ByteBuf out) {
    JsonWriter json = JsonWriter.to(out).beginObject();
    json.name("name").string(name);
    json.name("ready").bool(ready);
    versions(json, versions);
    openAi(json, name);
    json.endObject().finish();
  }

  /** A name that only OpenAI's clients know. */
  void otherName(String name, ByteBuf out) {
    JsonWriter json = JsonWriter.to(out).beginObject();
    openAi(json, name);
    json.endObject().finish();
  }

  /** Versions in the form of TF Serving. */
  static void versions(List<ModelStatus> versions, ByteBuf out) {
    JsonWriter json = JsonWriter.to(out).beginObject();
    versions(json, versions);
    json.endObject().finish();
  }

  private static void versions(JsonWriter json, List<ModelStatus> versions) {
    json.name("model_version_status").beginArray();
    for (ModelStatus status : versions) {
      json.beginObject();
      json.name("version").string(status.version());
      json.name("state").string(VersionState.of(status.state()).name());
      json.name("status").beginObject();
      json.name("error_code").string(status.isFailed() ? "UNKNOWN" : "OK");
      json.name("error_message").string(status.isFailed() ? status.reason() : "");
      json.endObject().endObject();
    }
    json.endArray();
  }

  /** The signatures of a model, in the form that TF Serving gives its metadata. */
  static void signatures(Signatures signatures, ByteBuf out) {
    ModelId id = signatures.main().metadata().id();
    JsonWriter json = JsonWriter.to(out).beginObject();
    json.name("model_spec").beginObject();
    json.name("name").string(id.name());
    json.name("signature_name").string("");
    json.name("version").string(id.version());
    json.endObject();
    json.name("metadata").beginObject().name("signature_def").beginObject();
    json.name("signature_def").beginObject();
    for (Signature signature : signatures.all()) {
      ModelMetadata metadata = signature.metadata();
      json.name(signature.name()).beginObject();
      tensors(json.name("inputs"), metadata.inputs(), signature::inputTensor);
      tensors(json.name("outputs"), metadata.outputs(), signature::outputTensor);
      json.name("method_name").string(signature.method());
      json.name("defaults").beginObject().endObject();
      json.endObject();
    }
    json.endObject().endObject().endObject().endObject().finish();
  }

  private static void tensors(
      JsonWriter json, List<TensorSpec> specs, UnaryOperator<String> names) {
    json.beginObject();
    for (TensorSpec spec : specs) {
      json.name(spec.name()).beginObject();
      json.name("dtype").string(TensorFlowTypes.constant(spec.dataType()));
      json.name("tensor_shape").beginObject().name("dim").beginArray();
      for (int i = 0; spec.shape().hasRank() && i < spec.shape().rank(); i++) {
        json.beginObject().name("size").string(Long.toString(spec.shape().dim(i)));
        json.name("name").string("").endObject();
      }
      json.endArray().name("unknown_rank").bool(!spec.shape().hasRank()).endObject();
      json.name("name").string(names.apply(spec.name())).endObject();
    }
    json.endObject();
  }
}
