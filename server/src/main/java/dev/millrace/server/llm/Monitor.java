package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.spi.UpstreamPolicy.Watch;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.EmptyHttpHeaders;
import io.netty.handler.codec.http.HttpHeaders;
import io.opentelemetry.api.trace.Span;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.ObjIntConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks after the replicas of a model: asks each how it is, and how busy, again and again, until
 * the model is gone. On one event loop.
 */
final class Monitor {
  private static final Logger LOG = LoggerFactory.getLogger(Monitor.class);

  /** Longest that an answer may take. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private static final int MOST_BYTES = 1 << 20;

  private final ServedModel model;
  private final UpstreamPool pool;
  private final EventLoop loop;
  private final BooleanSupplier isCurrent;

  /**
   * @param isCurrent whether the model still serves
   */
  Monitor(ServedModel model, UpstreamPool pool, EventLoop loop, BooleanSupplier isCurrent) {
    this.model = model;
    this.pool = pool;
    this.loop = loop;
    this.isCurrent = isCurrent;
  }

  /** Starts to look. */
  void start() {
    if (!model.policy().watch().interval().isZero()) {
      loop.execute(this::look);
    }
  }

  private void look() {
    if (!isCurrent.getAsBoolean()) {
      return;
    }
    Watch watch = model.policy().watch();
    var replicas = model.balancer().replicas();
    for (Replica replica : replicas) {
      watch
          .healthPath()
          .ifPresent(
              path -> new Probe(replica, path, (text, status) -> well(replica, status)).start());
      if (replicas.size() > 1) { // else there is nothing to choose
        watch
            .metricsPath()
            .ifPresent(path ->
                new Probe(replica, path, (text, status) -> busy(replica, text, status)).start());
      }
      watch
          .modelsPath()
          .ifPresent(path ->
              new Probe(replica, path, (text, status) -> lists(replica, text, status)).start());
    }
    var _ = loop.schedule(this::look, watch.interval().toNanos(), TimeUnit.NANOSECONDS);
  }

  /** What is not there, or not for us, is no sign that the engine is unwell. */
  private void well(Replica replica, int status) {
    boolean healthy = status >= 200 && status < 500;
    if (healthy == replica.isUnhealthy()) {
      LOG.info(
          "{}: upstream {} is {}",
          model.id(),
          replica.upstream(),
          healthy ? "well" : status == 0 ? "not reachable" : "not well: it answers " + status);
    }
    replica.setHealthy(healthy, System.nanoTime());
  }

  private static void busy(Replica replica, String text, int status) {
    if (status == 200) {
      EngineLoad load = EngineLoad.parse(text);
      replica.setLoad(load.waiting(), load.cacheUse());
    }
  }

  /** What was known stays known while the engine does not say. */
  private void lists(Replica replica, String text, int status) {
    if (status == 200) {
      replica.setAdapters(
          EngineModels.parse(text)
              .adaptersOf(replica.upstream().model().orElse(model.id().name())));
    }
  }

  /** One question to one replica. */
  private final class Probe implements UpstreamConnection.Receiver {
    private final Replica replica;
    private final String path;
    private final ObjIntConsumer<String> then;
    private final ByteBuf answer = Unpooled.buffer();
    private int status;
    private @Nullable UpstreamConnection connection;
    private boolean over;

    /**
     * @param then gets the answer's body and status; 0 if there is none
     */
    Probe(Replica replica, String path, ObjIntConsumer<String> then) {
      this.replica = replica;
      this.path = path;
      this.then = then;
    }

    void start() {
      var _ = loop.schedule(() -> end(0), PATIENCE.toNanos(), TimeUnit.NANOSECONDS);
      UpstreamConnection idle = pool.take(replica.upstream());
      if (idle != null) {
        ask(idle);
      } else {
        pool.connect(
            replica.upstream(), model.policy().times().connect(), this::ask, failure -> end(0));
      }
    }

    private void ask(UpstreamConnection to) {
      if (over) {
        pool.put(to);
        return;
      }
      connection = to;
      ByteBuf head =
          RequestHead.write(
              ByteBufAllocator.DEFAULT,
              replica.upstream(),
              "GET",
              path,
              EmptyHttpHeaders.INSTANCE,
              Span.getInvalid(),
              replica.upstream().key().map(key -> "Bearer " + key).orElse(null),
              null,
              "",
              0);
      to.setReading(true);
      to.send(head, Unpooled.EMPTY_BUFFER, this);
    }

    private void end(int result) {
      if (over) {
        return;
      }
      over = true;
      UpstreamConnection used = connection;
      if (used != null) {
        connection = null;
        used.close();
      }
      then.accept(answer.toString(UTF_8), result);
    }

    @Override
    public void head(int answered, HttpHeaders headers) {
      status = answered;
    }

    @Override
    public void content(ByteBuf piece) {
      if (answer.readableBytes() < MOST_BYTES) {
        answer.writeBytes(piece);
      }
      piece.release();
    }

    @Override
    public void readComplete() {}

    @Override
    public void completed() {
      connection = null;
      end(status);
    }

    @Override
    public void broken(Throwable cause) {
      UpstreamConnection lost = connection;
      connection = null;
      if (lost != null && lost.isReused() && !lost.sawBytes() && !over) {
        pool.connect(
            replica.upstream(), model.policy().times().connect(), this::ask, failure -> end(0));
      } else {
        end(0);
      }
    }
  }
}
