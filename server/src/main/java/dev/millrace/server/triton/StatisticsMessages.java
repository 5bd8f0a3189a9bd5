package dev.millrace.server.triton;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.proto.inference.InferBatchStatistics;
import dev.millrace.proto.inference.InferStatistics;
import dev.millrace.proto.inference.ModelStatisticsResponse;
import dev.millrace.proto.inference.StatisticDuration;
import dev.millrace.runtime.CountedTime;
import dev.millrace.runtime.ModelRegistry;
import dev.millrace.runtime.ModelStatistics;

/** What models have done, in Triton's terms. */
public final class StatisticsMessages {
  private StatisticsMessages() {}

  /**
   * The statistics of the models that serve.
   *
   * @param name of one of them; empty for all
   * @param version of that; empty for all
   * @throws InferenceException INVALID_ARGUMENT if nothing of that name and version serves
   */
  public static ModelStatisticsResponse of(ModelRegistry models, String name, String version) {
    ModelStatisticsResponse.Builder response = ModelStatisticsResponse.newBuilder();
    if (name.isEmpty()) {
      models.statistics().forEach(each -> response.addModelStats(message(each)));
      return response.build();
    }
    try {
      models
          .statistics(new ModelId(name, version))
          .forEach(each -> response.addModelStats(message(each)));
      return response.build();
    } catch (InferenceException e) {
      if (e.code() == ErrorCode.NOT_FOUND || e.code() == ErrorCode.UNAVAILABLE) {
        throw InferenceException.invalidArgument(
            "requested model '%s'%s is not available"
                .formatted(name, version.isEmpty() ? "" : " version " + version));
      }
      throw e;
    }
  }

  private static dev.millrace.proto.inference.ModelStatistics message(ModelStatistics statistics) {
    var message =
        dev.millrace.proto.inference.ModelStatistics.newBuilder()
            .setName(statistics.id().name())
            .setVersion(statistics.id().version())
            .setLastInference(statistics.lastInferenceMillis())
            .setInferenceCount(statistics.rows())
            .setExecutionCount(statistics.runs())
            .setInferenceStats(
                InferStatistics.newBuilder()
                    .setSuccess(message(statistics.success()))
                    .setFail(message(statistics.failure()))
                    .setQueue(message(statistics.queue()))
                    .setComputeInput(message(statistics.computeInput()))
                    .setComputeInfer(message(statistics.computeInfer()))
                    .setComputeOutput(message(statistics.computeOutput()))
                    // There is no cache of responses.
                    .setCacheHit(message(CountedTime.ZERO))
                    .setCacheMiss(message(CountedTime.ZERO)));
    for (ModelStatistics.OfBatches batches : statistics.batches()) {
      message.addBatchStats(
          InferBatchStatistics.newBuilder()
              .setBatchSize(batches.rows())
              .setComputeInput(message(batches.input()))
              .setComputeInfer(message(batches.infer()))
              .setComputeOutput(message(batches.output())));
    }
    return message.build();
  }

  private static StatisticDuration message(CountedTime time) {
    return StatisticDuration.newBuilder().setCount(time.count()).setNs(time.nanos()).build();
  }
}
