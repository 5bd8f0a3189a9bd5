package dev.millrace.server.llm;

import dev.millrace.api.ModelId;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.api.spi.UpstreamPolicy;
import dev.millrace.runtime.GenerationMeters;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** What the front end knows of a model that upstreams answer for. Thread-safe. */
final class ServedModel implements AutoCloseable {
  private final ModelId id;
  private final UpstreamModel model;
  private final Gate gate;
  private final RetryBudget budget = new RetryBudget();
  private final GenerationMeters meters;
  private volatile List<Upstream> upstreams = List.of();
  private volatile Balancer balancer;

  ServedModel(ModelId id, UpstreamModel model, MeterRegistry registry) {
    this.id = id;
    this.model = model;
    this.gate = new Gate(model.policy().limits());
    this.meters = new GenerationMeters(registry, id.name());
    this.balancer = new Balancer(model.policy().balancing().choice(), List.of());
    meters.showQueue(gate, Gate::waiting);
    balancer();
  }

  ModelId id() {
    return id;
  }

  UpstreamModel model() {
    return model;
  }

  UpstreamPolicy policy() {
    return model.policy();
  }

  Gate gate() {
    return gate;
  }

  RetryBudget budget() {
    return budget;
  }

  GenerationMeters meters() {
    return meters;
  }

  /** Who answers now, and who of them is asked next. */
  @SuppressWarnings("ReferenceEquality") // the same list as long as nothing changes
  Balancer balancer() {
    if (upstreams != model.upstreams()) {
      refresh();
    }
    return balancer;
  }

  /** Replicas that are still there stay what they are. */
  @SuppressWarnings("ReferenceEquality") // as above
  private synchronized void refresh() {
    List<Upstream> now = model.upstreams();
    if (upstreams == now) {
      return;
    }
    List<Replica> replicas = new ArrayList<>(now.size());
    for (Upstream upstream : now) {
      replicas.add(
          balancer.replicas().stream()
              .filter(replica -> replica.upstream().equals(upstream))
              .findFirst()
              .orElseGet(() -> newReplica(upstream)));
    }
    balancer = new Balancer(policy().balancing().choice(), replicas);
    upstreams = now;
  }

  private Replica newReplica(Upstream upstream) {
    Replica replica = new Replica(upstream, policy().watch(), System.nanoTime());
    meters.showUpstream(
        upstream.toString(),
        replica,
        Replica::outstanding,
        these -> these.isFit(System.nanoTime()) ? 1 : 0);
    return replica;
  }

  /** The names of the adapters that its upstreams list. */
  Set<String> adapters() {
    return balancer().replicas().stream()
        .flatMap(replica -> replica.adapters().stream())
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @Override
  public void close() {
    meters.close();
  }
}
