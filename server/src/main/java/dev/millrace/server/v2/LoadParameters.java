package dev.millrace.server.v2;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.server.json.JsonSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** What the parameters of a request to load a model say, over HTTP as over gRPC. */
public final class LoadParameters {
  private LoadParameters() {}

  /**
   * The settings that override the model's own: the members of the parameter {@code config}, which
   * is a JSON object in a text, and the other parameters as they are.
   *
   * @throws InferenceException INVALID_ARGUMENT if {@code config} is not that, UNIMPLEMENTED for
   *     files in the request
   */
  public static Map<String, Object> overrides(String model, Map<String, Object> parameters) {
    Map<String, Object> overrides = new LinkedHashMap<>();
    parameters.forEach((key, value) -> {
      if (key.startsWith("file:")) {
        throw new InferenceException(
            ErrorCode.UNIMPLEMENTED,
            "failed to load '%s', files in the request are not supported".formatted(model));
      } else if (key.equals("config")) {
        overrides.putAll(config(model, value.toString()));
      } else {
        overrides.put(key, value);
      }
    });
    return overrides;
  }

  private static Map<String, Object> config(String model, String text) {
    try (JsonParser parser = JsonSource.of(text)) {
      if (parser.nextToken() == JsonToken.START_OBJECT) {
        Map<String, Object> config = object(parser);
        if (parser.nextToken() == null) {
          return config;
        }
      }
      throw invalid(model, "it is not one JSON object");
    } catch (JacksonException e) {
      throw invalid(model, e.getOriginalMessage());
    }
  }

  private static InferenceException invalid(String model, String why) {
    return InferenceException.invalidArgument(
        "failed to load '%s', failed to poll from model repository: Invalid config override: %s"
            .formatted(model, why));
  }

  private static Map<String, Object> object(JsonParser parser) {
    Map<String, Object> members = new LinkedHashMap<>();
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      Object value = value(parser, parser.nextToken());
      if (value != null) {
        members.put(name, value);
      }
    }
    return members;
  }

  private static List<Object> array(JsonParser parser) {
    List<Object> elements = new ArrayList<>();
    for (JsonToken token = parser.nextToken();
        token != JsonToken.END_ARRAY;
        token = parser.nextToken()) {
      Object element = value(parser, token);
      if (element != null) {
        elements.add(element);
      }
    }
    return elements;
  }

  private static @Nullable Object value(JsonParser parser, JsonToken token) {
    return switch (token) {
      case START_OBJECT -> object(parser);
      case START_ARRAY -> array(parser);
      case VALUE_STRING -> parser.getString();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> parser.getNumberValue();
      case VALUE_NULL -> null;
      case END_OBJECT, END_ARRAY, PROPERTY_NAME, NOT_AVAILABLE, VALUE_EMBEDDED_OBJECT ->
          throw new IllegalStateException("not a value: " + token);
    };
  }
}
