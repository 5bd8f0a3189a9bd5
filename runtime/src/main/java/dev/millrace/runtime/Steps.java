package dev.millrace.runtime;

import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.Transformer;
import java.time.Duration;
import java.util.List;

/**
 * What stands around and beside the models of a server.
 *
 * @param transformers in the order of preprocessing; postprocessing goes the other way
 */
record Steps(List<Transformer> transformers, List<InferenceLogger> loggers) {
  Steps {
    transformers = List.copyOf(transformers);
    loggers = List.copyOf(loggers);
  }

  /** Closes them, the ones that were used last first; the loggers may take that long. */
  void close(Duration grace) {
    loggers.forEach(logger -> logger.close(grace));
    transformers.forEach(Transformer::close);
  }
}
