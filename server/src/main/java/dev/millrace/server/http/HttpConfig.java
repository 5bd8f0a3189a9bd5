package dev.millrace.server.http;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * Limits and times of the HTTP front end.
 *
 * @param maxBodySize bytes of a request's body as sent; more is answered with 413. Default 64 MiB
 * @param maxDecompressedSize bytes of a compressed body once it is decompressed; more is answered
 *     with 413. Default 64 MiB
 * @param maxHeaderSize bytes of all headers together, and of the request line; more is answered
 *     with 431 or 414. Default 32 KiB
 * @param inlineBodySize largest body that is decoded, and largest set of outputs that is encoded as
 *     JSON, on the event loop; above it, the workers do. Smaller keeps event loops free for others,
 *     larger saves hand-offs. Default 64 KiB
 * @param minCompressedSize smallest compressible answer that is compressed for a client that
 *     accepts it: below it, compressing costs more than it saves. Default 1 KiB
 * @param maxPipelined requests of one connection in flight at once; further ones wait in the
 *     socket. Default 32
 * @param idleTimeout after which a connection without a request is closed. Default 75 s
 * @param requestTimeout in which a request has to arrive, plus a second per 64 KiB of its body; one
 *     that does not is answered with 408. Default 30 s
 * @param writeTimeout after which a connection is closed whose client takes nothing of its answer.
 *     Default 30 s
 */
public record HttpConfig(
    int maxBodySize,
    int maxDecompressedSize,
    int maxHeaderSize,
    int inlineBodySize,
    int minCompressedSize,
    int maxPipelined,
    Duration idleTimeout,
    Duration requestTimeout,
    Duration writeTimeout) {

  public HttpConfig {
    requirePositive("maxBodySize", maxBodySize);
    requirePositive("maxDecompressedSize", maxDecompressedSize);
    requirePositive("maxHeaderSize", maxHeaderSize);
    requirePositive("maxPipelined", maxPipelined);
    requirePositive("idleTimeout", requireNonNull(idleTimeout).toNanos());
    requirePositive("requestTimeout", requireNonNull(requestTimeout).toNanos());
    requirePositive("writeTimeout", requireNonNull(writeTimeout).toNanos());
    if (inlineBodySize < 0 || minCompressedSize < 0) {
      throw new IllegalArgumentException("a size is negative");
    }
  }

  private static void requirePositive(String name, long value) {
    if (value <= 0) {
      throw new IllegalArgumentException(name + " must be positive: " + value);
    }
  }

  /** Everything by default. */
  public static HttpConfig defaults() {
    return new HttpConfig(
        64 << 20,
        64 << 20,
        32 << 10,
        64 << 10,
        1 << 10,
        32,
        Duration.ofSeconds(75),
        Duration.ofSeconds(30),
        Duration.ofSeconds(30));
  }

  /** This configuration with other limits on bodies, as sent and decompressed. */
  public HttpConfig withMaxBodySize(int size, int decompressedSize) {
    return new HttpConfig(
        size,
        decompressedSize,
        maxHeaderSize,
        inlineBodySize,
        minCompressedSize,
        maxPipelined,
        idleTimeout,
        requestTimeout,
        writeTimeout);
  }

  /** This configuration with another limit on headers. */
  public HttpConfig withMaxHeaderSize(int size) {
    return new HttpConfig(
        maxBodySize,
        maxDecompressedSize,
        size,
        inlineBodySize,
        minCompressedSize,
        maxPipelined,
        idleTimeout,
        requestTimeout,
        writeTimeout);
  }

  /** This configuration with another size up to which event loops do the work. */
  public HttpConfig withInlineBodySize(int size) {
    return new HttpConfig(
        maxBodySize,
        maxDecompressedSize,
        maxHeaderSize,
        size,
        minCompressedSize,
        maxPipelined,
        idleTimeout,
        requestTimeout,
        writeTimeout);
  }

  /** This configuration with another bound on pipelined requests. */
  public HttpConfig withMaxPipelined(int requests) {
    return new HttpConfig(
        maxBodySize,
        maxDecompressedSize,
        maxHeaderSize,
        inlineBodySize,
        minCompressedSize,
        requests,
        idleTimeout,
        requestTimeout,
        writeTimeout);
  }

  /** This configuration with other times. */
  public HttpConfig withTimeouts(Duration idle, Duration request, Duration write) {
    return new HttpConfig(
        maxBodySize,
        maxDecompressedSize,
        maxHeaderSize,
        inlineBodySize,
        minCompressedSize,
        maxPipelined,
        idle,
        request,
        write);
  }
}
