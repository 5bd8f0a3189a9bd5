package dev.millrace.testing.llm;

import dev.millrace.testing.llm.Answer.Whole;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Errors in the shapes that are in the wild. */
final class Errors {
  private Errors() {}

  /** The type that vLLM gives for a status. */
  private static String type(int status) {
    return switch (status) {
      case 400 -> "BadRequestError";
      case 401, 403 -> "AuthenticationError";
      case 404 -> "NotFoundError";
      case 408, 504 -> "TimeoutError";
      case 422 -> "UnprocessableEntityError";
      case 429 -> "RateLimitError";
      case 501 -> "NotImplementedError";
      case 503 -> "ServiceUnavailableError";
      default -> "InternalServerError";
    };
  }

  /** The inner object. */
  static Map<String, @Nullable Object> object(
      Dialect dialect, int status, String message, @Nullable String param) {
    return switch (dialect) {
      case V0_7_1 ->
          Json.object(
              "object",
              "error",
              "message",
              message,
              "type",
              type(status),
              "param",
              null,
              "code",
              (long) status);
      case MAIN ->
          Json.object(
              "message", message, "type", type(status), "param", param, "code", (long) status);
    };
  }

  /** An error as the dialect has it. */
  static Whole answer(Dialect dialect, int status, String message, @Nullable String param) {
    Map<String, @Nullable Object> error = object(dialect, status, message, param);
    return Whole.json(
        status,
        switch (dialect) {
          case V0_7_1 -> error;
          case MAIN -> Json.object("error", error);
        });
  }

  /** The data of an event that is an error. */
  static String event(Dialect dialect, int status, String message) {
    return "data: " + Json.spaced(Json.object("error", object(dialect, status, message, null)));
  }

  /** An error in the shape that a script asks for. */
  static Whole scripted(Dialect dialect, Script script) {
    int status = script.number("status", 500);
    String message = script.text("message");
    if (message == null) {
      message = "scripted to fail with " + status;
    }
    String shape = script.text("error");
    return switch (shape == null ? "" : shape) {
      case "" -> answer(dialect, status, message, null);
      case "flat" -> answer(Dialect.V0_7_1, status, message, null);
      case "nested" -> answer(Dialect.MAIN, status, message, null);
      case "string" -> Whole.json(status, Json.object("error", message));
      case "kserve" ->
          Whole.json(
              status,
              Json.object(
                  "error",
                  Json.object(
                      "code",
                      Integer.toString(status),
                      "message",
                      message,
                      "param",
                      "",
                      "type",
                      type(status))));
      case "openai" ->
          Whole.json(
              status,
              Json.object(
                  "error",
                  Json.object(
                      "message",
                      message,
                      "type",
                      type(status).replaceFirst("Error$", "").toLowerCase(Locale.ROOT) + "_error",
                      "param",
                      null,
                      "code",
                      null)));
      case "fastapi" ->
          Whole.json(
              status,
              Json.object(
                  "detail",
                  List.of(Json.object("type", "missing", "loc", List.of("body"), "msg", message))));
      case "text" -> Whole.text(status, "text/plain; charset=utf-8", message);
      case "html" ->
          Whole.text(
              status, "text/html", "<html><body><h1>%s</h1></body></html>\n".formatted(message));
      case "empty" -> Whole.empty(status);
      default -> throw new IllegalArgumentException("no shape of errors is called " + shape);
    };
  }
}
