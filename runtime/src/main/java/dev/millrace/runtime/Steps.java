package dev.millrace.runtime;

import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * What stands around and beside the models of a server.
 *
 * @param transformers around every model, outside of its own; in the order of preprocessing
 * @param factories of the transformers that a model's configuration may list
 * @param loggers beside every model
 * @param computing runs the steps that compute long
 */
record Steps(
    List<Transformer> transformers,
    List<TransformerFactory> factories,
    List<InferenceLogger> loggers,
    ExecutorService computing) {
  Steps {
    transformers = List.copyOf(transformers);
    factories = List.copyOf(factories);
    loggers = List.copyOf(loggers);
  }

  /** These, with a pool of a thread for each processor, which are there while they are used. */
  static Steps of(
      List<Transformer> transformers,
      List<TransformerFactory> factories,
      List<InferenceLogger> loggers,
      int processors) {
    // What waits in it is bounded by the requests that the server takes over.
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            processors,
            processors,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().name("millrace-step-", 1).daemon().factory());
    pool.allowCoreThreadTimeOut(true);
    return new Steps(transformers, factories, loggers, pool);
  }

  /** Closes them, the ones that were used last first; the loggers may take that long. */
  void close(Duration grace) {
    computing.shutdown();
    loggers.forEach(logger -> logger.close(grace));
    transformers.forEach(Transformer::close);
  }
}
