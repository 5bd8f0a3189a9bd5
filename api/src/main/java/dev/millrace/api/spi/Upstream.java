package dev.millrace.api.spi;

import static java.util.Objects.requireNonNull;

import java.net.URI;
import java.util.Optional;

/**
 * One server that answers for an {@link UpstreamModel}.
 *
 * @param address {@code http} or {@code https}, host, port and perhaps a path, before which a
 *     request's own comes: {@code http://10.0.0.1:8000}
 * @param key what is sent as {@code Authorization: Bearer}; empty for none
 * @param weight how much of the load it takes, compared with the others; at least 1
 * @param model what the model is called there; empty if it is called what the client calls it
 */
public record Upstream(URI address, Optional<String> key, int weight, Optional<String> model) {
  public Upstream {
    requireNonNull(address, "address is null");
    requireNonNull(key, "key is null");
    requireNonNull(model, "model is null");
    if (weight < 1) {
      throw new IllegalArgumentException("weight must be positive: " + weight);
    }
    String scheme = address.getScheme();
    if (address.getHost() == null || !("http".equals(scheme) || "https".equals(scheme))) {
      throw new IllegalArgumentException("not an http or https address: " + address);
    }
  }

  /** An upstream of weight 1 without a key. */
  public static Upstream at(URI address) {
    return new Upstream(address, Optional.empty(), 1, Optional.empty());
  }

  /** The port, also where it is the scheme's own. */
  public int port() {
    int port = address.getPort();
    return port >= 0 ? port : isSecure() ? 443 : 80;
  }

  /** Whether it is spoken to over TLS. */
  public boolean isSecure() {
    return "https".equals(address.getScheme());
  }

  /** The address, without the key. */
  @Override
  public String toString() {
    return address.toString();
  }
}
