package dev.millrace.server.llm;

import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamPolicy.Choice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/**
 * Chooses which of a model's replicas gets a request. Immutable.
 *
 * <p>{@link Choice#LEAST_OUTSTANDING} takes the less busy of two at random. {@link Choice#PREFIX}
 * and {@link Choice#SESSION} place the replicas on a ring, each at points in proportion to its
 * weight, and take the first from the request's own point on; for {@code PREFIX}, one that is much
 * busier than the average is passed over (Mirrokni et al., Consistent Hashing with Bounded Loads,
 * 2016).
 */
final class Balancer {
  private static final int POINTS = 64;

  /** How much busier than the average a replica may be and still get what hashes to it. */
  private static final double BOUND = 1.25;

  private final Choice choice;
  private final List<Replica> replicas;

  /** Points of the ring in ascending order, and whose each is. */
  private final long[] points;

  private final int[] owners;

  Balancer(Choice choice, List<Replica> replicas) {
    this.choice = choice;
    this.replicas = List.copyOf(replicas);
    List<long[]> ring = new ArrayList<>();
    for (int i = 0; i < replicas.size(); i++) {
      int seed = replicas.get(i).upstream().address().hashCode();
      for (int j = 0; j < POINTS * Math.min(64, replicas.get(i).upstream().weight()); j++) {
        ring.add(new long[] {mix((long) seed << 32 | j), i});
      }
    }
    ring.sort((a, b) -> Long.compare(a[0], b[0]));
    points = ring.stream().mapToLong(point -> point[0]).toArray();
    owners = ring.stream().mapToInt(point -> (int) point[1]).toArray();
  }

  /** Spreads a number over all 64 bits, as SplitMix64 (Steele et al., 2014) does. */
  static long mix(long value) {
    long z = value + 0x9e3779b97f4a7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }

  List<Replica> replicas() {
    return replicas;
  }

  /** Whether requests that are alike go to the same replica. */
  boolean isAffine() {
    return choice != Choice.LEAST_OUTSTANDING;
  }

  /**
   * The replica for a request. If none is fit, one of the others: to try is better than to refuse.
   *
   * @param tried not to be chosen
   * @param affinity what requests that belong together share; null for one that belongs to no
   *     others
   * @param adapter which those that list it answer for, if any do; null for the model itself
   * @return null if all were tried
   */
  @Nullable Replica choose(
      Collection<Replica> tried, @Nullable Long affinity, @Nullable String adapter, long now) {
    List<Replica> candidates = untried(tried, adapter);
    if (candidates.size() > 1 && candidates.stream().anyMatch(replica -> replica.isFit(now))) {
      candidates.removeIf(replica -> !replica.isFit(now));
    }
    if (candidates.size() <= 1) {
      return candidates.isEmpty() ? null : candidates.getFirst();
    }
    return affinity == null ? lessBusy(candidates, now) : onRing(candidates, affinity, now);
  }

  /** The replica that is that upstream; null if none is any more. */
  @Nullable Replica at(Upstream upstream) {
    return replicas.stream()
        .filter(replica -> replica.upstream().equals(upstream))
        .findFirst()
        .orElse(null);
  }

  /** Whether there is any that {@link #choose} would choose. */
  boolean hasUntried(Collection<Replica> tried, @Nullable String adapter) {
    return tried.size() < replicas.size() && !untried(tried, adapter).isEmpty();
  }

  private List<Replica> untried(Collection<Replica> tried, @Nullable String adapter) {
    boolean isListed = adapter != null && lists(adapter);
    List<Replica> untried = new ArrayList<>(replicas.size());
    for (int i = 0; i < replicas.size(); i++) {
      Replica replica = replicas.get(i);
      if (!tried.contains(replica) && (!isListed || replica.adapters().contains(adapter))) {
        untried.add(replica);
      }
    }
    return untried;
  }

  /** Whether any replica lists that adapter. */
  boolean lists(String adapter) {
    return replicas.stream().anyMatch(replica -> replica.adapters().contains(adapter));
  }

  private static Replica lessBusy(List<Replica> candidates, long now) {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    int first = random.nextInt(candidates.size());
    int second = random.nextInt(candidates.size() - 1);
    Replica a = candidates.get(first);
    Replica b = candidates.get(second < first ? second : second + 1);
    return b.load(now) < a.load(now) ? b : a;
  }

  private Replica onRing(List<Replica> candidates, long affinity, long now) {
    double mean = candidates.stream().mapToDouble(replica -> replica.load(now)).average().orElse(0);
    int start = Arrays.binarySearch(points, mix(affinity));
    start = start < 0 ? -start - 1 : start;
    for (int i = 0; i < points.length; i++) {
      Replica replica = replicas.get(owners[(start + i) % points.length]);
      if (candidates.contains(replica)
          && (choice == Choice.SESSION || replica.load(now) <= BOUND * mean + 1)) {
        return replica;
      }
    }
    return lessBusy(candidates, now);
  }
}
