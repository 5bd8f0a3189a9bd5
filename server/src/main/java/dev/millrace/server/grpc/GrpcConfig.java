package dev.millrace.server.grpc;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * Limits and times of the gRPC front end. The defaults are those that Triton's clients count on.
 *
 * @param maxMessageSize bytes of a request, decompressed; more is answered with RESOURCE_EXHAUSTED.
 *     Default 2 GiB - 1, which is all that the protocol can carry
 * @param maxCallsPerConnection calls of one connection in flight at once; a client holds back more.
 *     Default 4096
 * @param maxMetadataSize bytes of a request's headers. Default 32 KiB
 * @param keepAliveTime after which a silent client is pinged. Default 2 h
 * @param keepAliveTimeout after which a connection is closed whose client does not answer the ping.
 *     Default 20 s
 * @param permitKeepAliveTime shortest time between a client's own pings; one that sends more is
 *     disconnected. Default 5 min
 * @param permitKeepAliveWithoutCalls whether clients without a call may ping that often. Default
 *     false
 * @param idleTimeout after which a connection without a call is closed; its client opens a new one
 *     for its next call. Default 1 h
 * @param reflection whether clients may ask for the services and their messages. Default true
 */
public record GrpcConfig(
    int maxMessageSize,
    int maxCallsPerConnection,
    int maxMetadataSize,
    Duration keepAliveTime,
    Duration keepAliveTimeout,
    Duration permitKeepAliveTime,
    boolean permitKeepAliveWithoutCalls,
    Duration idleTimeout,
    boolean reflection) {

  public GrpcConfig {
    if (maxMessageSize <= 0 || maxCallsPerConnection <= 0 || maxMetadataSize <= 0) {
      throw new IllegalArgumentException(
          "maxMessageSize, maxCallsPerConnection and maxMetadataSize must be positive: %d, %d, %d"
              .formatted(maxMessageSize, maxCallsPerConnection, maxMetadataSize));
    }
    requirePositive("keepAliveTime", keepAliveTime);
    requirePositive("keepAliveTimeout", keepAliveTimeout);
    requirePositive("permitKeepAliveTime", permitKeepAliveTime);
    requirePositive("idleTimeout", idleTimeout);
  }

  private static void requirePositive(String name, Duration value) {
    if (!requireNonNull(value).isPositive()) {
      throw new IllegalArgumentException(name + " must be positive: " + value);
    }
  }

  /** Everything by default. */
  public static GrpcConfig defaults() {
    return new GrpcConfig(
        Integer.MAX_VALUE,
        4096,
        32 << 10,
        Duration.ofHours(2),
        Duration.ofSeconds(20),
        Duration.ofMinutes(5),
        false,
        Duration.ofHours(1),
        true);
  }

  /** This configuration with another limit on messages. */
  public GrpcConfig withMaxMessageSize(int size) {
    return new GrpcConfig(
        size,
        maxCallsPerConnection,
        maxMetadataSize,
        keepAliveTime,
        keepAliveTimeout,
        permitKeepAliveTime,
        permitKeepAliveWithoutCalls,
        idleTimeout,
        reflection);
  }

  /** This configuration with another time after which idle connections are closed. */
  public GrpcConfig withIdleTimeout(Duration timeout) {
    return new GrpcConfig(
        maxMessageSize,
        maxCallsPerConnection,
        maxMetadataSize,
        keepAliveTime,
        keepAliveTimeout,
        permitKeepAliveTime,
        permitKeepAliveWithoutCalls,
        timeout,
        reflection);
  }

  /** This configuration with reflection on or off. */
  public GrpcConfig withReflection(boolean on) {
    return new GrpcConfig(
        maxMessageSize,
        maxCallsPerConnection,
        maxMetadataSize,
        keepAliveTime,
        keepAliveTimeout,
        permitKeepAliveTime,
        permitKeepAliveWithoutCalls,
        idleTimeout,
        on);
  }
}
