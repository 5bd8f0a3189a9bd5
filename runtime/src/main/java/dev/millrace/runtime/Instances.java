package dev.millrace.runtime;

import dev.millrace.api.spi.ModelSource;
import dev.millrace.api.spi.Predictor;
import dev.millrace.api.spi.Servable;
import dev.millrace.api.spi.TensorModel;
import dev.millrace.api.spi.TextGenerator;
import dev.millrace.api.spi.UpstreamModel;
import java.util.ArrayList;
import java.util.List;

/** A model in the memory of one device with its predictors; owns both. Not thread-safe. */
final class Instances implements AutoCloseable {
  private Placement placement;
  private final TensorModel model;
  private final List<Predictor> predictors = new ArrayList<>();

  private Instances(Placement placement, TensorModel model) {
    this.placement = placement;
    this.model = model;
  }

  /**
   * Loads the model and makes the predictors of {@code placement}.
   *
   * @throws dev.millrace.api.InferenceException whatever the backend throws; nothing is left behind
   */
  static Instances load(LoadPlan plan, Placement placement) {
    Servable servable =
        plan.load(
            new ModelSource(
                plan.id(),
                plan.path(),
                placement.device(),
                placement.instances(),
                placement.threads(),
                plan.engine()));
    Instances instances =
        switch (servable) {
          case TensorModel model -> new Instances(placement, model);
          case TextGenerator generator ->
              new Instances(placement.withInstances(1), new NoTensors(generator));
          case UpstreamModel upstream ->
              new Instances(placement.withInstances(1), new NoTensors(upstream));
        };
    try {
      for (int i = 0; i < instances.placement.instances(); i++) {
        instances.predictors.add(instances.model.newPredictor());
      }
      return instances;
    } catch (Throwable e) {
      instances.close();
      throw e;
    }
  }

  /** The device, the threads it was loaded for, and how many predictors there are. */
  Placement placement() {
    return placement;
  }

  TensorModel model() {
    return model;
  }

  /** The predictors, which stay owned by this. */
  List<Predictor> predictors() {
    return List.copyOf(predictors);
  }

  /** Closes the predictors beyond {@code count}, which is at least 1. */
  void keep(int count) {
    while (predictors.size() > count) {
      predictors.removeLast().close();
    }
    placement = placement.withInstances(predictors.size());
  }

  @Override
  public void close() {
    try {
      predictors.forEach(Predictor::close);
    } finally {
      model.close();
    }
  }
}
