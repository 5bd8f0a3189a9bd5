package dev.millrace.testing.llm;

import dev.millrace.testing.llm.Answer.Whole;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What tests ask of an engine in another process, under {@code /_scripted}.
 *
 * <table>
 * <caption>Paths</caption>
 * <tr><td>GET requests</td><td>what was received: a list of objects with method, target,
 *     connection, index, headers, body, end (null, answered, cancelled, broken), milliseconds until
 *     the end, bytes and events sent</td></tr>
 * <tr><td>GET process</td><td>pid, arguments and environment</td></tr>
 * <tr><td>POST script</td><td>the body's lines are scripts for the next requests</td></tr>
 * <tr><td>POST always</td><td>the body is the script for all others</td></tr>
 * <tr><td>POST health</td><td>the body is the status that {@code /health} answers</td></tr>
 * <tr><td>POST load</td><td>requests that wait, and use of the cache</td></tr>
 * <tr><td>POST release</td><td>what is stalled goes on</td></tr>
 * <tr><td>POST forget</td><td>all is as at the start</td></tr>
 * </table>
 */
final class Control {
  private final ScriptedEngine engine;

  Control(ScriptedEngine engine) {
    this.engine = engine;
  }

  Answer answer(ReceivedRequest request) {
    String body = request.text().strip();
    try {
      switch (request.path()) {
        case "/_scripted/requests" -> {
          return Whole.json(200, requests());
        }
        case "/_scripted/process" -> {
          return Whole.json(
              200,
              Json.object(
                  "pid",
                  ProcessHandle.current().pid(),
                  "arguments",
                  EngineMain.arguments(),
                  "environment",
                  System.getenv()));
        }
        case "/_scripted/script" -> engine.script(body.split("\n", -1));
        case "/_scripted/always" -> engine.always(body);
        case "/_scripted/health" -> engine.health(Integer.parseInt(body));
        case "/_scripted/load" -> {
          String[] words = body.split(" ", -1);
          engine.load(Integer.parseInt(words[0]), Double.parseDouble(words[1]));
        }
        case "/_scripted/release" -> engine.release();
        case "/_scripted/forget" -> engine.forget();
        default -> {
          return Whole.empty(404);
        }
      }
      return Whole.json(200, Json.object());
    } catch (IllegalArgumentException e) {
      return Whole.text(400, "text/plain; charset=utf-8", String.valueOf(e.getMessage()));
    }
  }

  private List<Object> requests() {
    List<Object> found = new ArrayList<>();
    for (ReceivedRequest request : engine.requests()) {
      ReceivedRequest.End end = request.end();
      List<List<String>> headers = new ArrayList<>();
      request.headers().forEach(header -> headers.add(List.of(header.getKey(), header.getValue())));
      @Nullable Long millis =
          end == null ? null : (request.endNanos() - request.receivedNanos()) / 1_000_000;
      found.add(
          Json.object(
              "method",
              request.method(),
              "target",
              request.target(),
              "connection",
              (long) request.connection(),
              "index",
              (long) request.indexOnConnection(),
              "headers",
              headers,
              "body",
              request.text(),
              "end",
              end == null ? null : end.name().toLowerCase(Locale.ROOT),
              "milliseconds",
              millis,
              "bytes",
              request.bytesSent(),
              "events",
              (long) request.eventsSent()));
    }
    return found;
  }
}
