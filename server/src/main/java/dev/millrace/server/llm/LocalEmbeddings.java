package dev.millrace.server.llm;

import dev.millrace.api.DataType;
import dev.millrace.api.Deadline;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.InferenceResponse;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Parameters;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.runtime.ModelLease;
import dev.millrace.runtime.ModelServer;
import dev.millrace.server.http.Answer;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Answers requests for embeddings with models of this process: those that take texts and give one
 * vector for each. Thread-safe.
 */
final class LocalEmbeddings {
  private final ModelServer server;

  LocalEmbeddings(ModelServer server) {
    this.server = server;
  }

  /**
   * Starts on a request.
   *
   * @throws InferenceException INVALID_ARGUMENT if the model makes no embeddings, or the request is
   *     not one for them
   */
  void start(LlmRequest request, ModelLease lease) {
    String name = lease.id().name();
    ModelMetadata metadata = lease.metadata();
    Optional<TensorSpec> input = textInput(metadata);
    Optional<TensorSpec> output = vectorOutput(metadata);
    if (request.operation() != Operation.EMBEDDINGS || input.isEmpty() || output.isEmpty()) {
      throw LlmRoutes.cannot(
          name,
          request.operation(),
          "it takes tensors; call it by /v2/models/%s/infer".formatted(name));
    }
    Wish wish = Wish.read(request.body(), name);
    TensorSpec spec = output.get();
    if (wish.dimensions > 0 && wish.dimensions != spec.shape().dim(1)) {
      throw InferenceException.invalidArgument(
          "'dimensions' is %d; the embeddings of the model `%s` have %d"
              .formatted(wish.dimensions, name, spec.shape().dim(1)));
    }
    HttpExchange exchange = request.exchange();
    exchange.header("X-Request-Id", request.id());
    int count = wish.texts.size();
    Shape shape = input.get().shape().rank() == 2 ? Shape.of(count, 1) : Shape.of(count);
    Tensor texts = Tensor.copyOf(shape, wish.texts.toArray(String[]::new));
    InferenceRequest inference =
        new InferenceRequest(
            request.id(),
            lease.id(),
            TensorMap.of(input.get().name(), texts),
            List.of(spec.name()),
            Parameters.empty(),
            Deadline.none());
    exchange.await(
        server.infer(inference, exchange.requestHeaders()),
        new Vectors(name, spec.name(), wish.isBase64, wish.characters()));
  }

  private static Optional<TensorSpec> textInput(ModelMetadata metadata) {
    return metadata.inputs().size() == 1
            && metadata.inputs().getFirst().dataType() == DataType.BYTES
            && metadata.inputs().getFirst().shape().rank() <= 2
        ? Optional.of(metadata.inputs().getFirst())
        : Optional.empty();
  }

  private static Optional<TensorSpec> vectorOutput(ModelMetadata metadata) {
    return metadata.outputs().stream()
        .filter(output -> output.dataType() == DataType.FP32 && output.shape().rank() == 2)
        .findFirst();
  }

  /** What is asked for. */
  private static final class Wish {
    private final List<String> texts = new ArrayList<>();
    private boolean isBase64;
    private int dimensions;

    /** Reads a body that is known to be a JSON object. */
    private static Wish read(ByteBuf body, String model) {
      Wish wish = new Wish();
      try (JsonParser parser = JsonSource.of(body, body.readableBytes()).parser()) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
          String name = parser.currentName();
          JsonToken value = parser.nextToken();
          switch (name) {
            case "input" -> wish.input(parser, value, model);
            case "encoding_format" -> wish.isBase64 = isBase64(parser, value);
            case "dimensions" -> {
              if (value == JsonToken.VALUE_NUMBER_INT) {
                wish.dimensions = parser.getIntValue();
              } else if (value != JsonToken.VALUE_NULL) {
                throw InferenceException.invalidArgument("'dimensions' is not a whole number");
              }
            }
            default -> parser.skipChildren();
          }
        }
      }
      if (wish.texts.isEmpty()) {
        throw InferenceException.invalidArgument(
            "'input' is missing or empty; expected a text or a list of texts");
      }
      return wish;
    }

    private void input(JsonParser parser, JsonToken value, String model) {
      texts.clear();
      if (value == JsonToken.VALUE_STRING) {
        texts.add(parser.getString());
        return;
      }
      if (value == JsonToken.START_ARRAY) {
        JsonToken element = parser.nextToken();
        while (element == JsonToken.VALUE_STRING) {
          texts.add(parser.getString());
          element = parser.nextToken();
        }
        if (element == JsonToken.END_ARRAY) {
          return;
        }
      }
      throw InferenceException.invalidArgument(
          "'input' is not a text or a list of texts, which is all that the model `%s` takes"
              .formatted(model));
    }

    private static boolean isBase64(JsonParser parser, JsonToken value) {
      String format = value == JsonToken.VALUE_STRING ? parser.getString() : "float";
      return switch (format) {
        case "float" -> false;
        case "base64" -> true;
        default ->
            throw InferenceException.invalidArgument(
                "'encoding_format' is '%s'; expected float or base64".formatted(format));
      };
    }

    private long characters() {
      return texts.stream().mapToLong(String::length).sum();
    }
  }

  /** Sends the vectors. */
  private static final class Vectors extends Answer<InferenceResponse> {
    private final String model;
    private final String output;
    private final boolean isBase64;
    private final long characters;

    Vectors(String model, String output, boolean isBase64, long characters) {
      this.model = model;
      this.output = output;
      this.isBase64 = isBase64;
      this.characters = characters;
    }

    @Override
    protected void write(HttpExchange exchange, InferenceResponse response) {
      ByteBuf body = exchange.newBody(4096);
      try (response) {
        Tensor vectors = response.outputs().get(output);
        if (vectors == null || vectors.dataType() != DataType.FP32 || vectors.shape().rank() != 2) {
          throw new IllegalStateException("no vectors came out of " + model);
        }
        write(vectors, body);
      } catch (RuntimeException e) {
        body.release();
        throw e;
      }
      exchange.compressible().respond(200, HttpExchange.JSON, body);
    }

    private void write(Tensor vectors, ByteBuf body) {
      int width = (int) vectors.shape().dim(1);
      ByteBuffer data = vectors.data();
      JsonWriter json = JsonWriter.to(body).beginObject();
      json.name("object").string("list").name("data").beginArray();
      for (int row = 0; row < vectors.shape().dim(0); row++) {
        json.beginObject().name("object").string("embedding").name("index").number(row);
        json.name("embedding");
        int start = row * width * Float.BYTES;
        if (isBase64) { // little-endian, as tensors are
          json.base64(data, start, width * Float.BYTES);
        } else {
          json.beginArray();
          for (int i = 0; i < width; i++) {
            json.number(data.getFloat(start + i * Float.BYTES));
          }
          json.endArray();
        }
        json.endObject();
      }
      // Nothing tells how many tokens the chain has made of the texts.
      long tokens = (characters + 3) / 4;
      json.endArray().name("model").string(model);
      json.name("usage").beginObject().name("prompt_tokens").number(tokens);
      json.name("total_tokens").number(tokens).endObject().endObject().finish();
    }

    @Override
    protected void discard(InferenceResponse response) {
      response.close();
    }
  }
}
