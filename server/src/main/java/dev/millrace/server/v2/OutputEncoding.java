package dev.millrace.server.v2;

import java.util.List;

/**
 * Which outputs go back as binary, the others being JSON.
 *
 * @param all whether those do that the request does not list
 * @param listed names of the listed ones that do; a listed one that is not here is JSON, whatever
 *     {@code all} says
 */
public record OutputEncoding(boolean all, List<String> listed) {
  private static final OutputEncoding JSON = new OutputEncoding(false, List.of());
  private static final OutputEncoding BINARY = new OutputEncoding(true, List.of());

  public OutputEncoding {
    listed = List.copyOf(listed);
  }

  /** Everything as JSON. */
  public static OutputEncoding json() {
    return JSON;
  }

  /** Everything as binary. */
  public static OutputEncoding binary() {
    return BINARY;
  }

  /** Whether that output goes back as binary. */
  boolean isBinary(String output) {
    return all || listed.contains(output);
  }
}
