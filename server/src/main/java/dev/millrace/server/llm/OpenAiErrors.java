package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.json.JsonSource;
import dev.millrace.server.json.JsonWriter;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpResponseStatus;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Errors in OpenAI's form, {@code {"error": {"message", "type", "param", "code"}}}, and what other
 * servers answer made into it.
 */
final class OpenAiErrors {
  private static final Logger LOG = LoggerFactory.getLogger(OpenAiErrors.class);
  private static final int MOST_TEXT = 2000;

  private OpenAiErrors() {}

  /** The status of each code, as clients of language models know them. */
  static int status(ErrorCode code) {
    return switch (code) {
      case INVALID_ARGUMENT, FAILED_PRECONDITION -> 400;
      case NOT_FOUND -> 404;
      case RESOURCE_EXHAUSTED -> 429;
      case DEADLINE_EXCEEDED -> 504;
      case CANCELLED -> 499;
      case UNAVAILABLE -> 503;
      case UNIMPLEMENTED -> 501;
      case INTERNAL -> 500;
    };
  }

  private static String type(int status) {
    return switch (status) {
      case 401 -> "authentication_error";
      case 403 -> "permission_error";
      case 404 -> "not_found_error";
      case 429 -> "rate_limit_error";
      default -> status < 500 ? "invalid_request_error" : "server_error";
    };
  }

  /**
   * Answers with an error.
   *
   * @param code what is wrong, for programs; empty for none
   */
  static void fail(HttpExchange exchange, int status, String message, String code) {
    ByteBuf body = exchange.newBody(128 + message.length());
    write(body, message, type(status), null, code.isEmpty() ? null : code);
    exchange.respond(status, HttpExchange.JSON, body);
  }

  /** Answers with why a request failed here. */
  static void fail(HttpExchange exchange, Throwable failure) {
    InferenceException error = InferenceException.of(failure);
    if (error.code() == ErrorCode.INTERNAL) {
      LOG.error("{} failed", exchange.target(), failure);
    }
    error
        .retryAfter()
        .ifPresent(delay ->
            exchange.header("Retry-After", Long.toString((delay.toMillis() + 999) / 1000)));
    fail(
        exchange,
        status(error.code()),
        error.getMessage(),
        error.code() == ErrorCode.NOT_FOUND ? "model_not_found" : "");
  }

  private static void write(
      ByteBuf out, String message, String type, @Nullable String param, @Nullable String code) {
    JsonWriter json = JsonWriter.to(out).beginObject().name("error").beginObject();
    json.name("message").string(message).name("type").string(type);
    text(json.name("param"), param);
    text(json.name("code"), code);
    json.endObject().endObject().finish();
  }

  private static void text(JsonWriter json, @Nullable String text) {
    if (text == null) {
      json.nothing();
    } else {
      json.string(text);
    }
  }

  /**
   * The event that ends a stream which cannot go on. Anthropic's clients heed only one that is
   * called so.
   */
  static ByteBuf event(HttpExchange exchange, Operation operation, int status, String message) {
    ByteBuf out = exchange.newBody(160 + message.length());
    if (operation == Operation.MESSAGES) {
      out.writeCharSequence("event: error\ndata: ", UTF_8);
      JsonWriter json = JsonWriter.to(out).beginObject().name("type").string("error");
      json.name("error").beginObject().name("type").string("api_error");
      json.name("message").string(message).endObject().endObject().finish();
    } else {
      out.writeCharSequence("data: ", UTF_8);
      write(out, message, type(status), null, Integer.toString(status));
    }
    out.writeCharSequence("\n\n", UTF_8);
    return out;
  }

  /**
   * Answers with an upstream's error: as it is if it has OpenAI's form, else in it.
   *
   * @param answer the upstream's answer, which stays the caller's
   * @param textCodes whether a code has to be a string, as for KServe's clients
   */
  static void relay(HttpExchange exchange, int status, ByteBuf answer, boolean textCodes) {
    Parts parts = new Parts();
    boolean isJson = parts.read(answer);
    if (isJson && parts.isNested && !(textCodes && parts.codeIsNumber)) {
      ByteBuf body = exchange.newBody(answer.readableBytes()).writeBytes(answer.slice());
      exchange.respond(status, HttpExchange.JSON, body);
      return;
    }
    String message = parts.message;
    if (message == null) {
      String text = answer.toString(UTF_8).strip();
      message =
          text.isEmpty() || text.equals("{}") || text.startsWith("<")
              ? "the upstream answered %d %s"
                  .formatted(status, HttpResponseStatus.valueOf(status).reasonPhrase())
              : text.substring(0, Math.min(MOST_TEXT, text.length()));
    }
    ByteBuf body = exchange.newBody(128 + message.length());
    String type = parts.type == null ? type(status) : parts.type;
    String code = parts.code == null ? Integer.toString(status) : parts.code;
    write(body, message, type, parts.param, code);
    exchange.respond(status, HttpExchange.JSON, body);
  }

  /** What the forms of errors in the wild say. */
  private static final class Parts {
    private @Nullable String message;
    private @Nullable String type;
    private @Nullable String param;
    private @Nullable String code;

    /** Whether it has OpenAI's form. */
    private boolean isNested;

    private boolean codeIsNumber;

    /** Whether it is a JSON object at all. */
    private boolean read(ByteBuf answer) {
      if (!answer.isReadable()) {
        return false;
      }
      try (JsonParser parser = JsonSource.of(answer, answer.readableBytes()).parser()) {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
          return false;
        }
        members(parser, false);
        return parser.nextToken() == null;
      } catch (JacksonException e) {
        return false;
      }
    }

    private void members(JsonParser parser, boolean inside) {
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = parser.currentName();
        JsonToken value = parser.nextToken();
        String text =
            value == JsonToken.VALUE_STRING || value == JsonToken.VALUE_NUMBER_INT
                ? parser.getString()
                : null;
        switch (name) {
          case "message", "detail" -> message = text == null ? message : text;
          case "type" -> type = text;
          case "param" -> param = text;
          case "code" -> {
            code = text;
            codeIsNumber = value == JsonToken.VALUE_NUMBER_INT;
          }
          case "error" -> {
            if (value == JsonToken.START_OBJECT && !inside) {
              members(parser, true);
              isNested = message != null;
            } else {
              message = text == null ? message : text;
            }
          }
          default -> {}
        }
        if (text == null && parser.currentToken() != JsonToken.END_OBJECT) {
          parser.skipChildren();
        }
      }
    }
  }
}
