package dev.millrace.server.http;

import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * A method and a path template, who answers it, and how often that happened.
 *
 * @param variables the template's variables in order
 */
record Route(
    HttpMethod method,
    String template,
    List<Variable> variables,
    RouteHandler handler,
    RouteMeters meters) {

  /**
   * A variable part of a path.
   *
   * @param segment which part between slashes, from 0
   * @param suffix what follows it there, as in {@code {model}:predict}
   */
  record Variable(String name, int segment, String suffix) {}

  /** The decoded value of a variable in a request's target that matches this route. */
  String variable(String name, String target) {
    for (int i = 0; i < variables.size(); i++) {
      if (variables.get(i).name.equals(name)) {
        return decode(raw(variables.get(i), target));
      }
    }
    throw new IllegalArgumentException("%s has no variable '%s'".formatted(template, name));
  }

  private static String raw(Variable variable, String target) {
    int start = Router.pathStart(target) + 1;
    for (int i = 0; i < variable.segment; i++) {
      start = target.indexOf('/', start) + 1;
    }
    int end = start;
    int limit = Router.pathEnd(target);
    while (end < limit && target.charAt(end) != '/') {
      end++;
    }
    return target.substring(start, Router.suffixStart(variable.suffix, target, end));
  }

  private static String decode(String raw) {
    // Netty gives each byte as a character, also those that should have been encoded.
    String text =
        isAscii(raw)
            ? raw
            : new String(raw.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    if (text.indexOf('%') < 0) {
      return text;
    }
    // As a path: a plus sign is itself.
    return QueryStringDecoder.decodeComponent(text.replace("+", "%2B"), StandardCharsets.UTF_8);
  }

  private static boolean isAscii(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) >= 0x80) {
        return false;
      }
    }
    return true;
  }
}
