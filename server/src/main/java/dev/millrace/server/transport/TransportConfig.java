package dev.millrace.server.transport;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * Where to listen.
 *
 * @param host address to listen on; empty for all
 * @param port for HTTP/1.1 and gRPC; 0 for any free one
 * @param grpcPort for gRPC alone; 0 for any free one, {@link #NONE} or {@code port} for none
 * @param detectionTimeout how long a new connection may take to show which protocol it speaks,
 *     before it is closed
 */
public record TransportConfig(String host, int port, int grpcPort, Duration detectionTimeout) {
  /** Stands for no port. */
  public static final int NONE = -1;

  public TransportConfig {
    requireNonNull(host, "host is null");
    requireNonNull(detectionTimeout, "detectionTimeout is null");
    requirePort(port, 0);
    requirePort(grpcPort, NONE);
    if (!detectionTimeout.isPositive()) {
      throw new IllegalArgumentException("detectionTimeout must be positive: " + detectionTimeout);
    }
  }

  private static void requirePort(int port, int least) {
    if (port < least || port > 65_535) {
      throw new IllegalArgumentException("no such port: " + port);
    }
  }

  /** These ports on all addresses. */
  public static TransportConfig of(int port, int grpcPort) {
    return new TransportConfig("", port, grpcPort, Duration.ofSeconds(10));
  }

  /** This configuration with another time for a new connection to show its protocol. */
  public TransportConfig withDetectionTimeout(Duration timeout) {
    return new TransportConfig(host, port, grpcPort, timeout);
  }

  boolean hasGrpcPort() {
    return grpcPort != NONE && (grpcPort != port || port == 0);
  }
}
