package dev.millrace.benchmarks.known;

import dev.millrace.api.Settings;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Servable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Loads a {@link KnownModel} from an empty file {@code model.known}. How long it takes is in the
 * section {@code known} of its {@code model.yaml}:
 *
 * <pre>
 * known:
 *   shape: affine    # or knee, padded
 *   fixed: 4ms       # of every batch
 *   per-row: 30us
 *   work: sleep      # or spin
 *   device: serial   # one batch of all models at a time, or parallel
 * </pre>
 */
public final class KnownBackend implements Backend {
  private static final String FILE = "model.known";

  private final Lock device = new ReentrantLock(true);
  private final Map<String, KnownModel> models = new ConcurrentHashMap<>();

  private enum DeviceKind {
    SERIAL,
    PARALLEL
  }

  /** A new backend with a device of its own; the service loader calls it. */
  public KnownBackend() {}

  /** The model that was loaded last under that name. */
  public KnownModel model(String name) {
    KnownModel model = models.get(name);
    if (model == null) {
      throw new IllegalArgumentException("no model '%s' was loaded".formatted(name));
    }
    return model;
  }

  /** Writes a model into a repository. */
  public static void write(Path repository, String name, LatencyCurve curve, String options)
      throws IOException {
    Path version = Files.createDirectories(repository.resolve(name).resolve("1"));
    Files.write(version.resolve(FILE), new byte[0]);
    Files.writeString(
        repository.resolve(name).resolve("model.yaml"), options + "known:\n" + curve.toYaml("  "));
  }

  @Override
  public String name() {
    return "known";
  }

  @Override
  public String modelFiles() {
    return FILE;
  }

  @Override
  public Optional<Path> findModel(Path path) {
    Path file = path.endsWith(FILE) ? path : path.resolve(FILE);
    return Files.isRegularFile(file) ? Optional.of(file) : Optional.empty();
  }

  @Override
  public Servable load(ModelSource source) {
    Settings settings = source.settings();
    LatencyCurve curve = LatencyCurve.read(settings);
    Work work = settings.oneOf("work", Work.class).orElse(Work.SLEEP);
    DeviceKind kind = settings.oneOf("device", DeviceKind.class).orElse(DeviceKind.SERIAL);
    settings.rejectUnknown();
    KnownModel model =
        new KnownModel(
            source.id(),
            curve,
            work,
            switch (kind) {
              case SERIAL -> () -> device;
              case PARALLEL -> ReentrantLock::new;
            });
    models.put(source.id().name(), model);
    return model;
  }
}
