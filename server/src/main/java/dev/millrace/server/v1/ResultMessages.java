package dev.millrace.server.v1;

import dev.millrace.api.TensorMap;
import dev.millrace.proto.tfserving.Class;
import dev.millrace.proto.tfserving.ClassificationResult;
import dev.millrace.proto.tfserving.Regression;
import dev.millrace.proto.tfserving.RegressionResult;

/** TF Serving's messages for what became of examples. */
final class ResultMessages {
  private ResultMessages() {}

  /** The classes of each example; the outputs stay the caller's. */
  static ClassificationResult classifications(TensorMap outputs) {
    Classifications results = new Classifications(outputs);
    ClassificationResult.Builder message = ClassificationResult.newBuilder();
    for (int example = 0; example < results.examples(); example++) {
      var classes = message.addClassificationsBuilder();
      for (int i = 0; i < results.classes(); i++) {
        classes.addClasses(
            Class.newBuilder()
                .setLabel(results.label(example, i))
                .setScore(results.score(example, i)));
      }
    }
    return message.build();
  }

  /** The number of each example; the outputs stay the caller's. */
  static RegressionResult regressions(TensorMap outputs) {
    Regressions results = new Regressions(outputs);
    RegressionResult.Builder message = RegressionResult.newBuilder();
    for (int example = 0; example < results.examples(); example++) {
      message.addRegressions(Regression.newBuilder().setValue(results.value(example)));
    }
    return message.build();
  }
}
