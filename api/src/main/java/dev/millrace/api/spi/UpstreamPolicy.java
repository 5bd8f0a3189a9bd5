package dev.millrace.api.spi;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * How requests for an {@link UpstreamModel} are relayed. A time of zero is no limit, and as an
 * interval never.
 *
 * @param aliases other names that clients may use for the model; the upstream is told its own
 * @param adapters names that the upstreams know themselves, as those of LoRA adapters, beside those
 *     that they list
 * @param fallback the model that answers if no upstream of this one does
 * @param retries most upstreams that are tried after the first
 * @param retryOn statuses of an upstream after which another is tried
 * @param forwardsAuthorization whether the client's {@code Authorization} goes to an upstream that
 *     has no key
 * @param countsUsage whether the engine is asked for the tokens of streams if the client did not
 */
public record UpstreamPolicy(
    Balancing balancing,
    Times times,
    Limits limits,
    Watch watch,
    List<String> aliases,
    List<String> adapters,
    Optional<String> fallback,
    int retries,
    Set<Integer> retryOn,
    boolean forwardsAuthorization,
    boolean countsUsage) {
  public UpstreamPolicy {
    requireNonNull(balancing, "balancing is null");
    requireNonNull(times, "times is null");
    requireNonNull(limits, "limits is null");
    requireNonNull(watch, "watch is null");
    requireNonNull(fallback, "fallback is null");
    aliases = List.copyOf(aliases);
    adapters = List.copyOf(adapters);
    retryOn = Set.copyOf(retryOn);
    if (retries < 0) {
      throw new IllegalArgumentException("retries is negative: " + retries);
    }
  }

  /** Everything by default. */
  public static UpstreamPolicy defaults() {
    return new UpstreamPolicy(
        Balancing.defaults(),
        Times.defaults(),
        Limits.defaults(),
        Watch.defaults(),
        List.of(),
        List.of(),
        Optional.empty(),
        2,
        Set.of(502, 503, 504),
        false,
        true);
  }

  /** By what an upstream is chosen. */
  public enum Choice {
    /** The less busy of two, in proportion to their weights. */
    LEAST_OUTSTANDING,
    /** The same one for prompts that begin alike, unless it is much busier than the others. */
    PREFIX,
    /**
     * The same one for requests of one session; without a session, as {@code LEAST_OUTSTANDING}.
     */
    SESSION
  }

  /**
   * How an upstream is chosen.
   *
   * @param choice by what
   * @param prefixBytes how much of a prompt's beginning counts for {@link Choice#PREFIX}
   * @param sessionHeader where a session's name is looked for, before the members {@code
   *     session_id} and {@code user} of the body
   */
  public record Balancing(Choice choice, int prefixBytes, String sessionHeader) {
    public Balancing {
      requireNonNull(choice, "choice is null");
      requireNonNull(sessionHeader, "sessionHeader is null");
      if (prefixBytes < 1) {
        throw new IllegalArgumentException("prefixBytes must be positive: " + prefixBytes);
      }
    }

    static Balancing defaults() {
      return new Balancing(Choice.LEAST_OUTSTANDING, 1024, "X-Session-ID");
    }
  }

  /**
   * How long things may take.
   *
   * @param connect until the upstream accepts the connection
   * @param firstToken from the request being sent to the first event of a stream
   * @param gap between two events of a stream
   * @param total for the whole answer
   * @param heartbeat after which a stream without an event gets a comment, before its first token;
   *     such a stream has begun and can no longer be answered by another upstream
   */
  public record Times(
      Duration connect, Duration firstToken, Duration gap, Duration total, Duration heartbeat) {
    public Times {
      requireNonNegative(connect);
      requireNonNegative(firstToken);
      requireNonNegative(gap);
      requireNonNegative(total);
      requireNonNegative(heartbeat);
    }

    static Times defaults() {
      return new Times(
          Duration.ofSeconds(2),
          Duration.ofSeconds(300),
          Duration.ofSeconds(120),
          Duration.ofSeconds(600),
          Duration.ZERO);
    }
  }

  /**
   * How many requests are let in.
   *
   * @param concurrency most requests at the upstreams at once
   * @param queue most requests that wait for that; more are refused
   * @param queueTime longest that one waits
   * @param keyConcurrency most requests at once for each key of a client
   * @param keyQueue most requests that wait for each key of a client
   */
  public record Limits(
      int concurrency, int queue, Duration queueTime, int keyConcurrency, int keyQueue) {
    public Limits {
      requireNonNegative(queueTime);
      if (concurrency < 1 || queue < 0 || keyConcurrency < 1 || keyQueue < 0) {
        throw new IllegalArgumentException("a limit is too small");
      }
    }

    static Limits defaults() {
      return new Limits(
          Integer.MAX_VALUE, 1024, Duration.ofSeconds(30), Integer.MAX_VALUE, Integer.MAX_VALUE);
    }
  }

  /**
   * How upstreams are watched.
   *
   * @param healthPath what answers 200 while the upstream is well; empty not to ask
   * @param metricsPath where it shows its metrics; empty not to read them
   * @param modelsPath where it lists its models, and adapters among them; empty not to ask
   * @param interval between two looks
   * @param failures in a row after which an upstream gets no requests for a while
   * @param ejection how long that is the first time; it doubles each time, up to 16 times as long
   * @param slowStart in which an upstream that is new or back comes to its share of the load
   */
  public record Watch(
      Optional<String> healthPath,
      Optional<String> metricsPath,
      Optional<String> modelsPath,
      Duration interval,
      int failures,
      Duration ejection,
      Duration slowStart) {
    public Watch {
      requireNonNull(healthPath, "healthPath is null");
      requireNonNull(metricsPath, "metricsPath is null");
      requireNonNull(modelsPath, "modelsPath is null");
      requireNonNegative(interval);
      requireNonNegative(ejection);
      requireNonNegative(slowStart);
      if (failures < 1) {
        throw new IllegalArgumentException("failures must be positive: " + failures);
      }
    }

    static Watch defaults() {
      return new Watch(
          Optional.of("/health"),
          Optional.of("/metrics"),
          Optional.of("/v1/models"),
          Duration.ofSeconds(5),
          3,
          Duration.ofSeconds(5),
          Duration.ZERO);
    }
  }

  private static void requireNonNegative(Duration time) {
    if (requireNonNull(time, "a time is null").isNegative()) {
      throw new IllegalArgumentException("a time is negative: " + time);
    }
  }
}
