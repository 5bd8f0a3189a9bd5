package dev.millrace.benchmarks.batching;

import dev.millrace.benchmarks.SweptModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Writes the repositories of a batching run: one for each model, with the model in every setting.
 */
public final class BatchingFiles {
  /** The models that share a device in one leg: the slower first. */
  static final List<SweptModel> SHARING = List.of(SweptModel.MINILM, SweptModel.CONVOLUTION);

  private BatchingFiles() {}

  /**
   * Writes {@code models/MODEL/MODEL.SETTING/...}, {@code models/MODEL-alone/MODEL.default/...} and
   * {@code models/sharing/MODEL/...}.
   *
   * @param args the directory, made if it is not there
   */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      throw new IllegalArgumentException("expected one argument, a directory");
    }
    Path models = Path.of(args[0], "models");
    SweepPlan plan = SweepPlan.read(System.getenv());
    for (SweptModel model : SweptModel.values()) {
      Path repository = models.resolve(model.shortName());
      write(
          models.resolve(model.shortName() + "-alone"),
          servedName(model, ServedSetting.DEFAULT),
          model,
          ServedSetting.DEFAULT.options());
      for (ServedSetting setting : ServedSetting.all(plan)) {
        write(repository, servedName(model, setting), model, setting.options());
      }
    }
    for (SweptModel model : SHARING) {
      write(models.resolve("sharing"), model.shortName(), model, "");
    }
  }

  /** Under which a model in one setting is asked. */
  static String servedName(SweptModel model, ServedSetting setting) {
    return model.shortName() + "." + setting.name();
  }

  private static void write(Path repository, String name, SweptModel model, String options)
      throws IOException {
    Path directory = repository.resolve(name);
    Path version = Files.createDirectories(directory.resolve("1"));
    Files.write(version.resolve("model.onnx"), model.file());
    Files.writeString(directory.resolve("model.yaml"), options);
  }
}
