package dev.millrace.logger;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.SchemaParseException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Asks a schema registry, by Confluent's REST API, whether the subject of the log has the schema
 * that is written. A registry that cannot be reached is no error: it may come.
 */
final class SchemaRegistry {
  private static final Logger LOG = LoggerFactory.getLogger(SchemaRegistry.class);
  private static final Duration PATIENCE = Duration.ofSeconds(5);
  private static final JsonFactory JSON = new JsonFactory();

  private final URI url;

  SchemaRegistry(URI url) {
    this.url = url;
  }

  /**
   * Compares a version of the subject with {@code schema}.
   *
   * @return the number of the schema in the registry; negative if it cannot be reached
   * @throws InferenceException FAILED_PRECONDITION if there is no such version or it is another
   */
  int check(String subject, int version, Schema schema) {
    String path = "/subjects/%s/versions/%d".formatted(subject, version);
    String base = url.toString().replaceFirst("/+$", "");
    HttpRequest request = HttpRequest.newBuilder(URI.create(base + path)).timeout(PATIENCE).build();
    HttpResponse<String> response;
    try (HttpClient client = HttpClient.newBuilder().connectTimeout(PATIENCE).build()) {
      response = client.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      LOG.warn("the schema registry {} cannot be reached, the schema is not checked: {}", url, e);
      return -1;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw InferenceException.unavailable("interrupted while asking " + url);
    }
    if (response.statusCode() != 200) {
      throw problem(
          "the schema registry %s has no version %d of subject '%s' (status %d)"
              .formatted(url, version, subject, response.statusCode()));
    }
    try {
      Registered registered = parse(response.body());
      Schema found = new Schema.Parser().parse(registered.schema());
      if (!fields(found).equals(fields(schema))) {
        throw problem(
            "version %d of subject '%s' has the fields %s, but %s are written"
                .formatted(version, subject, fields(found), fields(schema)));
      }
      return registered.id();
    } catch (JacksonException | SchemaParseException e) {
      throw problem("the schema registry %s gave no schema: %s".formatted(url, e.getMessage()));
    }
  }

  private static List<String> fields(Schema schema) {
    return schema.getFields().stream()
        .map(field -> field.name() + ":" + field.schema().getType().getName())
        .toList();
  }

  private record Registered(int id, String schema) {}

  private static Registered parse(String body) {
    int id = -1;
    String schema = "";
    try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), body)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        switch (name) {
          case "id" -> id = parser.getIntValue();
          case "schema" -> schema = parser.getString();
          default -> parser.skipChildren();
        }
      }
    }
    return new Registered(id, schema);
  }

  private static InferenceException problem(String text) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, "the inference log: " + text);
  }
}
