package dev.millrace.server.cloud;

import java.util.Optional;

/**
 * What a cloud asks of the containers that it runs.
 *
 * @param defaultModel the model for requests that name none; empty for the only one there is
 * @param healthRoute a path of the cloud's choice that says whether the server is ready
 * @param predictRoute a path of the cloud's choice that takes requests
 */
public record CloudConfig(
    Optional<String> defaultModel, Optional<String> healthRoute, Optional<String> predictRoute) {
  /** Nothing special. */
  public static CloudConfig none() {
    return new CloudConfig(Optional.empty(), Optional.empty(), Optional.empty());
  }
}
