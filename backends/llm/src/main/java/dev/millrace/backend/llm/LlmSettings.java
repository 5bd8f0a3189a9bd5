package dev.millrace.backend.llm;

import dev.millrace.api.Settings;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamPolicy;
import dev.millrace.api.spi.UpstreamPolicy.Balancing;
import dev.millrace.api.spi.UpstreamPolicy.Choice;
import dev.millrace.api.spi.UpstreamPolicy.Limits;
import dev.millrace.api.spi.UpstreamPolicy.Times;
import dev.millrace.api.spi.UpstreamPolicy.Watch;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The section {@code llm} of a model.yaml; {@code docs/llm.md} is its user's page.
 *
 * @param upstreams as they are listed; empty if none are
 * @param launch how an engine of the server's own is started
 */
record LlmSettings(
    UpstreamPolicy policy, List<Upstream> upstreams, Optional<LaunchSettings> launch) {
  /**
   * Reads the section and refuses what it does not know.
   *
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT that names the key and what was
   *     expected
   */
  static LlmSettings read(Settings settings) {
    Optional<String> model = settings.string("model");
    List<Upstream> upstreams = upstreams(settings, model);
    UpstreamPolicy policy = policy(settings);
    Optional<LaunchSettings> launch =
        settings.value("launch").isPresent()
            ? Optional.of(LaunchSettings.read(settings.section("launch")))
            : Optional.empty();
    settings.rejectUnknown();
    if (launch.isPresent() && !upstreams.isEmpty()) {
      throw settings.bad("upstreams", upstreams, "either upstreams or launch, and not both");
    }
    return new LlmSettings(policy, upstreams, launch);
  }

  private static List<Upstream> upstreams(Settings settings, Optional<String> model) {
    List<Upstream> upstreams = new ArrayList<>();
    List<Object> listed = settings.list("upstreams");
    if (listed.stream().noneMatch(Map.class::isInstance)) {
      for (Object address : listed) {
        upstreams.add(
            new Upstream(
                address(settings, "upstreams", address.toString()), Optional.empty(), 1, model));
      }
      return upstreams;
    }
    for (Settings upstream : settings.sections("upstreams")) {
      String url =
          upstream
              .string("url")
              .orElseThrow(() -> upstream.bad("url", "", "the address of an engine"));
      upstreams.add(
          new Upstream(
              address(upstream, "url", url),
              key(upstream),
              upstream.integer("weight", 1, 1000).orElse(1),
              upstream.string("model").or(() -> model)));
    }
    return upstreams;
  }

  /** A key as it is written, or from the environment. */
  private static Optional<String> key(Settings upstream) {
    Optional<String> variable = upstream.string("key-env");
    Optional<String> key = upstream.string("key");
    if (variable.isEmpty()) {
      return key;
    }
    String value = System.getenv(variable.get());
    if (value == null) {
      throw upstream.bad(
          "key-env", variable.get(), "the name of an environment variable that is set");
    }
    return Optional.of(value);
  }

  /** An engine's address, without the {@code /v1} that OpenAI's clients want of a base URL. */
  private static URI address(Settings settings, String key, String text) {
    String expected = "an address such as http://localhost:8000";
    try {
      URI address = new URI(text.strip().replaceFirst("/+$", "").replaceFirst("(?<!/)/v1$", ""));
      boolean known = "http".equals(address.getScheme()) || "https".equals(address.getScheme());
      if (known
          && address.getHost() != null
          && address.getRawQuery() == null
          && address.getRawFragment() == null
          && address.getRawUserInfo() == null) {
        return address;
      }
    } catch (URISyntaxException e) {
      throw settings.bad(key, text, expected);
    }
    throw settings.bad(key, text, expected);
  }

  private static UpstreamPolicy policy(Settings settings) {
    UpstreamPolicy defaults = UpstreamPolicy.defaults();
    return new UpstreamPolicy(
        balancing(settings, defaults.balancing()),
        times(settings.section("timeouts"), defaults.times()),
        limits(settings.section("limits"), defaults.limits()),
        watch(settings, defaults.watch()),
        texts(settings, "aliases"),
        texts(settings, "loras"),
        settings.string("fallback"),
        settings.integer("retries", 0, 100).orElse(defaults.retries()),
        retryOn(settings, defaults.retryOn()),
        settings.bool("forward-authorization").orElse(defaults.forwardsAuthorization()),
        settings.bool("count-usage").orElse(defaults.countsUsage()));
  }

  private static Balancing balancing(Settings settings, Balancing defaults) {
    return new Balancing(
        settings.oneOf("balancing", Choice.class).orElse(defaults.choice()),
        settings
            .size("prefix-length")
            .map(size -> Math.clamp(size, 1, 1 << 20))
            .orElse(defaults.prefixBytes()),
        settings.string("session-header").orElse(defaults.sessionHeader()));
  }

  private static Times times(Settings section, Times defaults) {
    return new Times(
        section.duration("connect").orElse(defaults.connect()),
        section.duration("first-token").orElse(defaults.firstToken()),
        section.duration("gap").orElse(defaults.gap()),
        section.duration("total").orElse(defaults.total()),
        section.duration("heartbeat").orElse(defaults.heartbeat()));
  }

  private static Limits limits(Settings section, Limits defaults) {
    int most = Integer.MAX_VALUE;
    return new Limits(
        section.integer("concurrency", 1, most).orElse(defaults.concurrency()),
        section.integer("queue", 0, most).orElse(defaults.queue()),
        section.duration("queue-timeout").orElse(defaults.queueTime()),
        section.integer("key-concurrency", 1, most).orElse(defaults.keyConcurrency()),
        section.integer("key-queue", 0, most).orElse(defaults.keyQueue()));
  }

  private static Watch watch(Settings settings, Watch defaults) {
    Settings health = settings.section("health");
    Settings ejection = settings.section("ejection");
    return new Watch(
        path(health, "path", defaults.healthPath()),
        path(health, "metrics-path", defaults.metricsPath()),
        path(health, "models-path", defaults.modelsPath()),
        health.duration("interval").orElse(defaults.interval()),
        ejection.integer("failures", 1, 1_000_000).orElse(defaults.failures()),
        ejection.duration("time").orElse(defaults.ejection()),
        settings.duration("slow-start").orElse(defaults.slowStart()));
  }

  /** A path; empty for {@code none}. */
  private static Optional<String> path(Settings section, String key, Optional<String> usual) {
    Optional<String> path = section.string(key);
    if (path.isEmpty()) {
      return usual;
    }
    if (path.get().equals("none")) {
      return Optional.empty();
    }
    if (!path.get().startsWith("/") || path.get().chars().anyMatch(c -> c <= ' ' || c > '~')) {
      throw section.bad(key, path.get(), "a path that begins with /, or none");
    }
    return path;
  }

  private static List<String> texts(Settings settings, String key) {
    List<String> texts = new ArrayList<>();
    for (Object value : settings.list(key)) {
      if (value instanceof Map || value instanceof List) {
        throw settings.bad(key, value, "a list of names");
      }
      texts.add(value.toString());
    }
    return texts;
  }

  private static Set<Integer> retryOn(Settings settings, Set<Integer> defaults) {
    if (settings.value("retry-on").isEmpty()) {
      return defaults;
    }
    Set<Integer> statuses = new LinkedHashSet<>();
    for (Object value : settings.list("retry-on")) {
      if (!(value instanceof Number status) || status.intValue() < 400 || status.intValue() > 599) {
        throw settings.bad("retry-on", value, "statuses from 400 to 599");
      }
      statuses.add(status.intValue());
    }
    return statuses;
  }
}
