package dev.millrace.benchmarks.load;

import dev.millrace.api.Device;
import dev.millrace.api.ModelId;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.benchmarks.BackendModel;
import dev.millrace.runtime.Plugins;
import java.nio.file.Path;
import java.util.List;

/**
 * An engine alone, as {@link EngineLoad}, but called through its backend: as many predictors of one
 * model as there are callers, and what they copy in and out.
 */
public final class BackendLoad {
  private BackendLoad() {}

  /**
   * As {@link EngineTrials#run}.
   *
   * @param args {@code BACKENDS REPOSITORY MODEL}, the layout's directory of backends and one that
   *     {@link EngineFiles} wrote, then {@code best SECONDS} or {@code CALLERS THREADS BATCH
   *     SECONDS}
   */
  public static void main(String[] args) throws Exception {
    BackendModel model = BackendModel.of(args[2]);
    Backend backend =
        Plugins.inFolder(Path.of(args[0], model.backend())).backends().stream()
            .findFirst()
            .orElseThrow(() -> new IllegalArgumentException("no such backend in " + args[0]));
    // As when a server loads a model.
    Thread.currentThread().setContextClassLoader(backend.getClass().getClassLoader());
    Path file = backend.findModel(model.directory(Path.of(args[1]))).orElseThrow();
    EngineTrials.run(
        setting -> open(backend, model, file, setting), List.of(args).subList(3, args.length));
    // The engines' own threads may not end by themselves.
    System.exit(0);
  }

  private static EngineTrials.Engine open(
      Backend backend, BackendModel model, Path file, EngineTrials.Setting setting) {
    TensorModel loaded =
        (TensorModel)
            backend.load(
                new ModelSource(
                    new ModelId(model.servedName(), "1"),
                    file,
                    Device.CPU,
                    setting.callers(),
                    setting.threadsOfOneRun(),
                    model.settings()));
    return new EngineTrials.Engine() {
      @Override
      public EngineTrials.Caller newCaller() {
        return caller(loaded.newPredictor(), model.rows(setting.batch()));
      }

      @Override
      public void close() {
        loaded.close();
      }
    };
  }

  private static EngineTrials.Caller caller(Predictor predictor, TensorMap inputs) {
    return new EngineTrials.Caller() {
      @Override
      public void run() {
        predictor.predict(inputs, List.of()).close();
      }

      @Override
      public void close() {
        predictor.close();
        inputs.close();
      }
    };
  }
}
