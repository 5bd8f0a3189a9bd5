package dev.millrace.backend.llm;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamModel;
import dev.millrace.api.spi.UpstreamPolicy;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model whose engine is the server's own to run. It has an upstream while the engine is ready; an
 * engine that ends is started again, after a time that doubles from one failed attempt to the next.
 *
 * <p>Whoever closes the model has let the requests end that were under way; then the engine is
 * stopped.
 */
final class EngineModel implements UpstreamModel {
  private static final Logger LOG = LoggerFactory.getLogger(EngineModel.class);
  private static final Duration LONGEST_DELAY = Duration.ofMinutes(1);

  private final ModelMetadata metadata;
  private final UpstreamPolicy policy;
  private final LaunchSettings launch;
  private final EngineCommand command;
  private final Thread keeper;
  private volatile EngineProcess process;
  private volatile List<Upstream> upstreams;
  private volatile boolean closed;

  private EngineModel(
      ModelMetadata metadata,
      UpstreamPolicy policy,
      LaunchSettings launch,
      EngineCommand command,
      EngineProcess process) {
    this.metadata = metadata;
    this.policy = policy;
    this.launch = launch;
    this.command = command;
    this.process = process;
    this.upstreams = List.of(upstream(process));
    this.keeper =
        Thread.ofVirtual().name("llm-engine-" + metadata.id().name()).unstarted(this::keep);
  }

  /**
   * Starts an engine and waits until it is ready.
   *
   * @throws InferenceException FAILED_PRECONDITION with the reason if it does not get ready;
   *     nothing is left of it then
   */
  static EngineModel start(
      ModelMetadata metadata, UpstreamPolicy policy, LaunchSettings launch, EngineCommand command) {
    String name = metadata.id().name();
    EngineProcess process = EngineProcess.start(name, launch, command);
    boolean ready = false;
    try {
      process.awaitReady();
      ready = true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InferenceException(
          ErrorCode.CANCELLED, name + ": interrupted while its engine started", e);
    } finally {
      if (!ready) {
        process.stop();
      }
    }
    EngineModel model = new EngineModel(metadata, policy, launch, command, process);
    model.keeper.start();
    return model;
  }

  private Upstream upstream(EngineProcess engine) {
    return new Upstream(engine.address(), command.key(), 1, command.served());
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public UpstreamPolicy policy() {
    return policy;
  }

  @Override
  public List<Upstream> upstreams() {
    return upstreams;
  }

  /** The process that guards the engine. */
  long pid() {
    return process.pid();
  }

  private void keep() {
    String name = metadata.id().name();
    Duration delay = launch.restartDelay();
    try {
      while (!closed) {
        process.awaitExit();
        boolean wasReady = !upstreams.isEmpty();
        upstreams = List.of();
        if (closed) {
          return;
        }
        delay = wasReady ? launch.restartDelay() : longer(delay);
        LOG.error(
            "{}: its engine ended{}; it is started again in {} ms",
            name,
            process.describeExit(),
            delay.toMillis());
        Thread.sleep(delay);
        restart(name);
      }
    } catch (InterruptedException e) {
      LOG.debug("{}: its engine is not looked after any more", name);
    }
  }

  private static Duration longer(Duration delay) {
    Duration doubled = delay.multipliedBy(2);
    return doubled.compareTo(LONGEST_DELAY) > 0 ? LONGEST_DELAY : doubled;
  }

  private void restart(String name) throws InterruptedException {
    try {
      EngineProcess next = EngineProcess.start(name, launch, command);
      process = next;
      if (closed) {
        next.stop();
        return;
      }
      next.awaitReady();
      upstreams = closed ? List.of() : List.of(upstream(next));
    } catch (InferenceException e) {
      LOG.error("{}: {}", name, e.getMessage());
      process.stop();
    }
  }

  @Override
  public void close() {
    closed = true;
    upstreams = List.of();
    keeper.interrupt();
    process.stop();
    boolean interrupted = false;
    while (keeper.isAlive()) {
      try {
        keeper.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    process.stop();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
