package dev.millrace.server.llm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamPolicy;
import dev.millrace.api.spi.UpstreamPolicy.Choice;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class BalancerTest {
  private static final UpstreamPolicy.Watch WATCH = watch(Duration.ZERO);

  private final List<Replica> replicas = new ArrayList<>();

  private static UpstreamPolicy.Watch watch(Duration slowStart) {
    return new UpstreamPolicy.Watch(
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Duration.ZERO,
        2,
        Duration.ofSeconds(1),
        slowStart);
  }

  private Balancer balancer(Choice choice, int... weights) {
    for (int weight : weights) {
      replicas.add(replica(weight, WATCH, 0));
    }
    return new Balancer(choice, replicas);
  }

  private Replica replica(int weight, UpstreamPolicy.Watch watch, long now) {
    URI address = URI.create("http://engine-" + replicas.size() + ":8000");
    return new Replica(
        new Upstream(address, Optional.empty(), weight, Optional.empty()), watch, now);
  }

  private static Replica choose(Balancer balancer, @Nullable Long affinity) {
    return Objects.requireNonNull(balancer.choose(List.of(), affinity, null, 0));
  }

  @Test
  void leastOutstanding_sharesByWeight() {
    Balancer balancer = balancer(Choice.LEAST_OUTSTANDING, 1, 3);

    for (int i = 0; i < 400; i++) {
      choose(balancer, null).begin(0);
    }

    assertThat(replicas.get(0).outstanding()).isBetween(99, 101);
  }

  @Test
  void prefix_isFaithful_untilTheReplicaIsMuchBusierThanOthers() {
    Balancer balancer = balancer(Choice.PREFIX, 1, 1, 1, 1);
    Replica home = choose(balancer, 42L);
    for (int i = 0; i < 20; i++) {
      assertThat(choose(balancer, 42L)).isSameAs(home);
    }

    for (int i = 0; i < 20; i++) {
      choose(balancer, 42L).begin(0);
    }

    assertThat(home.outstanding()).isBetween(5, 8);
    assertThat(replicas).allMatch(replica -> replica.outstanding() <= home.outstanding());
    assertThat(replicas.stream().filter(replica -> replica.outstanding() > 0).count())
        .isGreaterThanOrEqualTo(3);
  }

  @Test
  void session_staysWhereItIs_andFewMoveWhenAReplicaGoes() {
    Balancer balancer = balancer(Choice.SESSION, 1, 1, 1, 1);
    Map<Long, Replica> before = new HashMap<>();
    for (long session = 0; session < 1000; session++) {
      before.put(session, choose(balancer, session));
    }
    Replica gone = replicas.get(2);

    Balancer fewer =
        new Balancer(Choice.SESSION, replicas.stream().filter(replica -> replica != gone).toList());

    before.forEach((session, replica) -> {
      if (replica != gone) {
        assertThat(choose(fewer, session)).isSameAs(replica);
      }
    });
    assertThat(before.values()).containsAll(replicas);
  }

  @Test
  void choose_passesOverWhoIsUnfitOrTried_unlessNobodyElseIsLeft() {
    Balancer balancer = balancer(Choice.LEAST_OUTSTANDING, 1, 1, 1);
    replicas.get(0).setHealthy(false, 0);
    fail(replicas.get(1), 0);
    fail(replicas.get(1), 0);

    assertThat(choose(balancer, null)).isSameAs(replicas.get(2));
    assertThat(balancer.choose(List.of(replicas.get(2)), null, null, 0)).isNotNull();
    assertThat(balancer.choose(replicas, null, null, 0)).isNull();
  }

  private static final long SECOND = Duration.ofSeconds(1).toNanos();

  private static void fail(Replica replica, long now) {
    Replica.Visit visit = replica.begin(now);
    visit.failed(now);
    visit.ended();
  }

  /** A replica that is out of service from 0 on, for a second. */
  private Replica ejected() {
    Balancer _ = balancer(Choice.LEAST_OUTSTANDING, 1);
    Replica replica = replicas.getFirst();
    fail(replica, 0);
    fail(replica, 0);
    return replica;
  }

  @Test
  void replica_isTriedByOneRequest_andComesBackOrStaysOutLonger() {
    Balancer _ = balancer(Choice.LEAST_OUTSTANDING, 1);
    Replica replica = replicas.getFirst();
    fail(replica, 0);
    assertThat(replica.isFit(0)).isTrue();
    fail(replica, 0);
    assertThat(replica.isFit(SECOND - 1)).isFalse();

    assertThat(replica.isFit(SECOND)).isTrue();
    Replica.Visit first = replica.begin(SECOND);
    assertThat(replica.isFit(SECOND)).isFalse();
    first.failed(SECOND);
    first.ended();
    assertThat(replica.isFit(2 * SECOND)).isFalse();
    assertThat(replica.isFit(3 * SECOND)).isTrue();
    Replica.Visit second = replica.begin(3 * SECOND);
    second.succeeded(3 * SECOND);
    second.ended();
    assertThat(replica.isFit(3 * SECOND)).isTrue();
    assertThat(replica.isEjected()).isFalse();
  }

  @Test
  void replica_isNotJudgedByWhatBeganBeforeItWasTakenOutOfService() {
    Balancer _ = balancer(Choice.LEAST_OUTSTANDING, 1);
    Replica replica = replicas.getFirst();
    Replica.Visit slow = replica.begin(0);
    Replica.Visit slower = replica.begin(0);
    fail(replica, 0);
    fail(replica, 0);

    slow.succeeded(0);
    slow.ended();
    assertThat(replica.isEjected()).isTrue();
    slower.failed(SECOND);
    slower.ended();
    assertThat(replica.isFit(SECOND)).isTrue();
    assertThat(replica.outstanding()).isZero();
  }

  @Test
  void replica_isTriedByOneRequestAtATime_whateverElseEnds() {
    Replica replica = ejected();
    Replica.Visit forced = replica.begin(0); // as nobody was fit
    Replica.Visit trial = replica.begin(SECOND);

    forced.ended();
    assertThat(replica.isFit(SECOND)).isFalse();
    trial.ended(); // its client went away: it says nothing
    assertThat(replica.isEjected()).isTrue();
    assertThat(replica.isFit(SECOND)).isTrue();
  }

  @Test
  void replica_isBack_asSoonAsItAnswersARequestThatBeganMeanwhile() {
    Replica replica = ejected();
    Replica.Visit forced = replica.begin(0); // as nobody was fit
    forced.succeeded(0);
    forced.ended();

    assertThat(replica.isEjected()).isFalse();
  }

  @Test
  void replica_thatIsNewOrBack_comesToItsShareSlowly() {
    UpstreamPolicy.Watch watch = watch(Duration.ofSeconds(10));
    replicas.add(replica(1, watch, 0));
    replicas.add(replica(1, watch, 20 * SECOND));
    Balancer balancer = new Balancer(Choice.LEAST_OUTSTANDING, replicas);

    assertThat(shareOfTheSecond(balancer, 20 * SECOND)).isBetween(8L, 10L);
    assertThat(shareOfTheSecond(balancer, 25 * SECOND)).isBetween(32L, 35L);
    assertThat(shareOfTheSecond(balancer, 30 * SECOND)).isBetween(49L, 51L);

    Replica second = replicas.get(1);
    fail(second, 30 * SECOND);
    fail(second, 30 * SECOND);
    Replica.Visit trial = second.begin(40 * SECOND);
    trial.succeeded(40 * SECOND);
    trial.ended();
    assertThat(shareOfTheSecond(balancer, 40 * SECOND)).isBetween(8L, 10L);
    second.setHealthy(false, 60 * SECOND);
    second.setHealthy(true, 70 * SECOND);
    assertThat(shareOfTheSecond(balancer, 75 * SECOND)).isBetween(32L, 35L);
  }

  /** How many of a hundred requests at once the second of two replicas gets. */
  private static long shareOfTheSecond(Balancer balancer, long now) {
    List<Replica.Visit> visits = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      Replica chosen = Objects.requireNonNull(balancer.choose(List.of(), null, null, now));
      visits.add(chosen.begin(now));
    }
    visits.forEach(Replica.Visit::ended);
    return visits.stream().filter(visit -> visit.replica() == balancer.replicas().get(1)).count();
  }

  @Test
  void adapter_isForThoseThatListIt_andForAllIfNobodyDoes() {
    Balancer balancer = balancer(Choice.LEAST_OUTSTANDING, 1, 1, 1);
    replicas.get(1).setAdapters(Set.of("sql"));

    for (int i = 0; i < 20; i++) {
      assertThat(balancer.choose(List.of(), null, "sql", 0)).isSameAs(replicas.get(1));
    }
    assertThat(balancer.choose(List.of(replicas.get(1)), null, "sql", 0)).isNull();
    assertThat(balancer.hasUntried(List.of(replicas.get(1)), "sql")).isFalse();
    assertThat(balancer.choose(List.of(replicas.get(1)), null, "other", 0)).isNotNull();
    assertThat(balancer.hasUntried(List.of(replicas.get(1)), "other")).isTrue();
    assertThat(balancer.lists("other")).isFalse();
  }

  @Test
  void adapters_areThoseOfTheModel_byAnyOfItsNames() {
    String list =
        """
        {"object":"list","data":[
          {"id":"base","object":"model","root":"/m","parent":null,"permission":[{"id":"p"}]},
          {"id":"alias","root":"/m"},
          {"id":"sql","root":"/a/sql","parent":"base"},
          {"id":"other","root":"/o"},
          {"id":"french","parent":"other"}]}
        """;
    EngineModels models = EngineModels.parse(list);

    assertThat(models.adaptersOf("base")).containsExactly("sql");
    assertThat(models.adaptersOf("alias")).containsExactly("sql");
    assertThat(models.adaptersOf("other")).containsExactly("french");
    assertThat(models.adaptersOf("unknown")).isEmpty();
    assertThat(
            EngineModels.parse("{\"data\":[{\"id\":\"b\"},{\"id\":\"a\",\"parent\":\"b\"}]}")
                .adaptersOf("unknown"))
        .containsExactly("a");
    for (String bad : List.of("", "[]", "7", "{\"data\":7}", "{\"data\":[1]}", "{\"data\":[{")) {
      assertThat(EngineModels.parse(bad).adaptersOf("base")).as(bad).isEmpty();
    }
  }

  @Test
  void load_isReadByOldNamesAndNew() {
    assertThat(
            EngineLoad.parse(
                "# HELP x\nvllm:num_requests_waiting{model_name=\"a b\"} 3.0\nvllm:gpu_cache_usage_perc{m=\"a\"} 0.25\nvllm:num_requests_waiting_by_reason{reason=\"x\"} 9\n"))
        .isEqualTo(new EngineLoad(3, 0.25));
    assertThat(
            EngineLoad.parse("vllm:kv_cache_usage_perc 0.5 123\nvllm:num_requests_waiting NaN\n"))
        .isEqualTo(new EngineLoad(0, 0.5));
  }
}
