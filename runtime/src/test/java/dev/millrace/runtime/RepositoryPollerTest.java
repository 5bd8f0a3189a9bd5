package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.testing.TensorLeakExtension;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
@Timeout(60)
class RepositoryPollerTest {
  @TempDir private Path root;
  private final FakeBackend fake = new FakeBackend();
  private final List<String> changes = new ArrayList<>();

  private RepositoryPoller poller() {
    ModelRepository repository = new ModelRepository(List.of(ModelPath.of(root)), List.of(fake));
    return new RepositoryPoller(
        () -> repository.findPresent(ModelOptions.none()),
        repository.findPresent(ModelOptions.none()),
        new RepositoryPoller.Changes() {
          @Override
          public void load(FoundModel model, Set<String> unchanged) {
            changes.add("load %s %s".formatted(model.name(), unchanged));
          }

          @Override
          public void unload(String model) {
            changes.add("unload " + model);
          }
        });
  }

  private List<String> changesOf(RepositoryPoller poller) {
    changes.clear();
    poller.poll();
    return List.copyOf(changes);
  }

  @Test
  void whatStaysTheSame_isLeftAlone() throws IOException {
    Trees.models(root, "a/1/x.fake");
    RepositoryPoller poller = poller();
    assertThat(changesOf(poller)).isEmpty();
    assertThat(changesOf(poller)).isEmpty();
  }

  @Test
  void newModel_isLoadedOnce_afterTwoPollsSawTheSame() throws IOException {
    Trees.models(root, "a/1/x.fake");
    RepositoryPoller poller = poller();
    Trees.models(root, "b/1/x.fake");
    assertThat(changesOf(poller)).isEmpty();
    assertThat(changesOf(poller)).containsExactly("load b []");
    assertThat(changesOf(poller)).isEmpty();
  }

  @Test
  void directoryThatIsBeingCopied_waits() throws IOException {
    Trees.models(root, "a/1/x.fake");
    RepositoryPoller poller = poller();
    Trees.models(root, "b/1/x.fake");
    for (int part = 0; part < 4; part++) {
      Trees.write(root, "b/1/weights", "w".repeat(part));
      assertThat(changesOf(poller)).isEmpty();
    }
    assertThat(changesOf(poller)).containsExactly("load b []");
  }

  @Test
  void newVersion_isLoaded_andTheOthersAreToldToBeUnchanged() throws IOException {
    Trees.models(root, "a/1/x.fake");
    Trees.write(root, "a/model.yaml", "version-policy: all");
    RepositoryPoller poller = poller();
    Trees.models(root, "a/2/x.fake");
    poller.poll();
    assertThat(changesOf(poller)).containsExactly("load a [1]");
    Trees.write(root, "a/model.yaml", "version-policy: {latest: 1}");
    poller.poll();
    assertThat(changesOf(poller)).containsExactly("load a []");
  }

  @Test
  void modelThatFailed_isTriedAgainOnlyWhenItsFilesChange() throws IOException {
    Trees.write(root, "a/model.yaml", "max-batch-sise: 1");
    RepositoryPoller poller = poller();
    assertThat(changesOf(poller)).isEmpty();
    assertThat(changesOf(poller)).isEmpty();
    Trees.write(root, "a/model.yaml", "max-batch-size: 1");
    Trees.models(root, "a/x.fake");
    assertThat(changesOf(poller)).isEmpty();
    assertThat(changesOf(poller)).containsExactly("load a []");
  }

  @Test
  void modelThatWent_isUnloaded_butNotIfThePlaceCannotBeRead() throws IOException {
    Trees.models(root, "a/1/x.fake", "b/1/x.fake");
    RepositoryPoller poller = poller();
    Path away = root.resolveSibling(root.getFileName() + "-away");
    Files.move(root, away);
    assertThat(changesOf(poller)).isEmpty();
    assertThat(changesOf(poller)).isEmpty();
    Files.move(away, root);
    Files.delete(root.resolve("b/1/x.fake"));
    Files.delete(root.resolve("b/1"));
    Files.delete(root.resolve("b"));
    assertThat(changesOf(poller)).isEmpty();
    assertThat(changesOf(poller)).containsExactly("unload b");
    assertThat(changesOf(poller)).isEmpty();
  }

  @Test
  void server_thatPolls_followsTheRepository_andKeepsVersionsThatAreTheSame() throws Exception {
    Trees.write(root, "a/1/x.fake", "2");
    Trees.write(root, "a/model.yaml", "version-policy: all");
    ModelOptions quick =
        ModelOptions.read(Settings.of("test", Map.of("calibration-time", "0s", "instances", 1)));
    try (ModelServer server =
        ModelServer.create(
            RuntimeConfig.of(root).withOptions(quick).withPollInterval(Duration.ofMillis(20)),
            List.of(fake),
            new SimpleMeterRegistry())) {
      server.models().loadAll(LoadListener.NONE);
      Trees.write(root, "a/2/x.fake", "3");
      Await.until("version 2 serves", () -> isReady(server, new ModelId("a", "2")));
      assertThat(fake.loads).extracting(load -> load.id().version()).containsExactly("1", "2");
      assertThat(Requests.y(server.infer(Requests.of("a", 1, 1)))).containsExactly(3, 3);
      Trees.write(root, "b/x.fake", "no number");
      Await.until(
          "b has failed", () -> server.models().index().stream().anyMatch(ModelStatus::isFailed));
      assertThat(server.isReady()).isTrue(); // what came later is not asked for
      Trees.write(root, "b/x.fake", "5");
      Await.until("b serves", () -> isReady(server, ModelId.latest("b")));
      Files.delete(root.resolve("a/1/x.fake"));
      Files.delete(root.resolve("a/1"));
      Await.until("version 1 is unloaded", () -> !isReady(server, new ModelId("a", "1")));
      assertThat(isReady(server, new ModelId("a", "2"))).isTrue();
      assertThat(fake.loads).filteredOn(load -> load.id().name().equals("a")).hasSize(2);
      Files.delete(root.resolve("b/x.fake"));
      Await.until("b is unloaded", () -> !isReady(server, ModelId.latest("b")));
      Await.until("what it had is freed", () -> fake.openModels.get() == 1);
    }
    assertThat(fake.openModels).hasValue(0);
  }

  private static boolean isReady(ModelServer server, ModelId id) {
    try {
      return server.models().isReady(id);
    } catch (dev.millrace.api.InferenceException e) {
      return false;
    }
  }
}
