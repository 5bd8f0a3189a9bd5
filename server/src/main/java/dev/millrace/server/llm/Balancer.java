package dev.millrace.server.llm;

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
   * @return null if all were tried
   */
  @Nullable Replica choose(Collection<Replica> tried, @Nullable Long affinity, long now) {
    List<Replica> candidates = candidates(tried, now, true);
    if (candidates.isEmpty()) {
      candidates = candidates(tried, now, false);
    }
    if (candidates.size() <= 1) {
      return candidates.isEmpty() ? null : candidates.getFirst();
    }
    return affinity == null ? lessBusy(candidates) : onRing(candidates, affinity);
  }

  private List<Replica> candidates(Collection<Replica> tried, long now, boolean fit) {
    List<Replica> candidates = new ArrayList<>(replicas.size());
    for (int i = 0; i < replicas.size(); i++) {
      Replica replica = replicas.get(i);
      if (!tried.contains(replica) && (!fit || replica.isFit(now))) {
        candidates.add(replica);
      }
    }
    return candidates;
  }

  private static Replica lessBusy(List<Replica> candidates) {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    int first = random.nextInt(candidates.size());
    int second = random.nextInt(candidates.size() - 1);
    Replica a = candidates.get(first);
    Replica b = candidates.get(second < first ? second : second + 1);
    return b.load() < a.load() ? b : a;
  }

  private Replica onRing(List<Replica> candidates, long affinity) {
    double mean = candidates.stream().mapToDouble(Replica::load).average().orElse(0);
    int start = Arrays.binarySearch(points, mix(affinity));
    start = start < 0 ? -start - 1 : start;
    for (int i = 0; i < points.length; i++) {
      Replica replica = replicas.get(owners[(start + i) % points.length]);
      if (candidates.contains(replica)
          && (choice == Choice.SESSION || replica.load() <= BOUND * mean + 1)) {
        return replica;
      }
    }
    return lessBusy(candidates);
  }
}
