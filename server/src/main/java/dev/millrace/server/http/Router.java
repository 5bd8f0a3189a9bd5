package dev.millrace.server.http;

import io.netty.handler.codec.http.HttpMethod;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Finds the route of a request: a tree of path segments, so that looking up neither allocates nor
 * depends on how many routes there are.
 *
 * <p>A template's segment is literal, or a variable with an optional literal suffix: {@code
 * /v1/models/{model}:predict}. Where several match, literals win over variables, and variables with
 * a suffix over those without. Query and a trailing slash are ignored.
 */
public final class Router {
  private final HttpMeters meters;
  private final Node root = new Node("");

  Router(HttpMeters meters) {
    this.meters = meters;
  }

  /**
   * Adds a route.
   *
   * @throws IllegalArgumentException if there is one for that method and path already
   */
  public Router add(HttpMethod method, String template, RouteHandler handler) {
    List<Route.Variable> variables = new ArrayList<>();
    Node node = root;
    String[] segments = template.equals("/") ? new String[0] : template.substring(1).split("/", -1);
    for (int i = 0; i < segments.length; i++) {
      String segment = segments[i];
      if (segment.startsWith("{")) {
        int close = segment.indexOf('}');
        String suffix = segment.substring(close + 1);
        variables.add(new Route.Variable(segment.substring(1, close), i, suffix));
        node = node.variable(suffix);
      } else {
        node = node.literal(segment);
      }
    }
    node.put(new Route(method, template, List.copyOf(variables), handler, meters.of(template)));
    return this;
  }

  /** Whether requests of that method for that path have a route. */
  public boolean answers(HttpMethod method, String path) {
    Node place = find(path);
    return place != null && place.route(method) != null;
  }

  /**
   * The place of that request target (path, or URL, with or without query); null if there is none.
   */
  @Nullable Node find(String target) {
    int start = pathStart(target);
    if (start < 0) {
      return null;
    }
    int end = pathEnd(target);
    if (end - start > 1 && target.charAt(end - 1) == '/') {
      end--;
    }
    return find(root, target, start + 1, end);
  }

  private static @Nullable Node find(Node node, String path, int start, int end) {
    if (start >= end) {
      return node.routes.isEmpty() ? null : node;
    }
    int slash = path.indexOf('/', start);
    int stop = slash < 0 || slash > end ? end : slash;
    // By index: this runs for every request, and iterators are garbage.
    for (int i = 0; i < node.literals.size(); i++) {
      Node child = node.literals.get(i);
      if (child.text.length() == stop - start && path.startsWith(child.text, start)) {
        Node found = find(child, path, stop + 1, end);
        if (found != null) {
          return found;
        }
      }
    }
    for (int i = 0; i < node.variables.size(); i++) {
      Node child = node.variables.get(i);
      int suffix = suffixStart(child.text, path, stop);
      if (suffix > start) {
        Node found = find(child, path, stop + 1, end);
        if (found != null) {
          return found;
        }
      }
    }
    return null;
  }

  /**
   * Where a segment's suffix begins, of a segment that ends at {@code stop}; -1 if it has another.
   * Clients that encode all of a segment send {@code m%3Apredict}.
   */
  static int suffixStart(String suffix, String path, int stop) {
    int plain = stop - suffix.length();
    if (path.startsWith(suffix, plain)) {
      return plain;
    }
    int encoded = plain - 2;
    return suffix.startsWith(":")
            && path.regionMatches(true, encoded, "%3A", 0, 3)
            && path.regionMatches(encoded + 3, suffix, 1, suffix.length() - 1)
        ? encoded
        : -1;
  }

  /** Where the path begins: at 0, or behind the host of an absolute URL; -1 if nowhere. */
  static int pathStart(String target) {
    if (!target.isEmpty() && target.charAt(0) == '/') {
      return 0;
    }
    int scheme = target.indexOf("://");
    return scheme < 0 ? -1 : target.indexOf('/', scheme + 3);
  }

  /** Where the path ends. */
  static int pathEnd(String target) {
    int query = target.indexOf('?');
    return query < 0 ? target.length() : query;
  }

  /** A place in the tree; with routes if requests may end here. */
  static final class Node {
    /** A literal segment, or the suffix of a variable one. */
    private final String text;

    private final List<Node> literals = new ArrayList<>(4);
    private final List<Node> variables = new ArrayList<>(2);
    private final List<Route> routes = new ArrayList<>(2);

    private Node(String text) {
      this.text = text;
    }

    private Node literal(String segment) {
      return child(literals, segment);
    }

    private Node variable(String suffix) {
      Node child = child(variables, suffix);
      variables.sort((a, b) -> Integer.compare(b.text.length(), a.text.length()));
      return child;
    }

    private static Node child(List<Node> children, String text) {
      for (Node child : children) {
        if (child.text.equals(text)) {
          return child;
        }
      }
      Node added = new Node(text);
      children.add(added);
      return added;
    }

    private void put(Route route) {
      if (route(route.method()) != null && !Objects.equals(route.method(), HttpMethod.HEAD)) {
        throw new IllegalArgumentException(
            "%s %s is there already".formatted(route.method(), route.template()));
      }
      routes.add(route);
    }

    /** The route for that method; HEAD is answered by GET's. */
    @Nullable Route route(HttpMethod method) {
      HttpMethod asked = method.equals(HttpMethod.HEAD) ? HttpMethod.GET : method;
      for (int i = 0; i < routes.size(); i++) {
        if (routes.get(i).method().equals(asked)) {
          return routes.get(i);
        }
      }
      return null;
    }

    /** The methods that are allowed here, as in the header {@code Allow}. */
    String allowed() {
      StringBuilder allowed = new StringBuilder();
      for (Route route : routes) {
        allowed.append(allowed.isEmpty() ? "" : ", ").append(route.method());
        if (route.method().equals(HttpMethod.GET)) {
          allowed.append(", HEAD");
        }
      }
      return allowed.toString();
    }
  }
}
