package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.ModelId;
import dev.millrace.api.Parameters;
import dev.millrace.api.Settings;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.InferenceLogger;
import dev.millrace.api.spi.LogListener;
import dev.millrace.logger.CapturedRecord.Layout;
import java.time.Clock;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A logger whose records go through {@link LogChannel}s: one for what is kept in memory, one for
 * what is kept on disk, each opened when a model first needs it. Thread-safe.
 */
final class QueuedLogger implements InferenceLogger {
  /** Makes the sink of a channel. */
  interface Sinks {
    Sink open(boolean promised);
  }

  private final LoggerSettings settings;
  private final Sinks sinks;
  private final LogListener listener;

  /** Under this object's monitor. */
  private final Map<Delivery, LogChannel> channels = new EnumMap<>(Delivery.class);

  private final Map<String, OfModel> models = new ConcurrentHashMap<>();
  private volatile List<LogChannel> open = List.of();

  /** What a schema registry calls the schema; negative for none. */
  private int schemaId;

  private QueuedLogger(LoggerSettings settings, Sinks sinks, LogListener listener) {
    this.settings = settings;
    this.sinks = sinks;
    this.listener = listener;
    this.schemaId = settings.schemaHeader() ? settings.schemaId() : -1;
  }

  /**
   * Starts a logger. What a spool holds is sent at once.
   *
   * @throws InferenceException if it cannot deliver; nothing is left behind then
   */
  static QueuedLogger start(LoggerSettings settings, Sinks sinks, LogListener listener) {
    QueuedLogger logger = new QueuedLogger(settings, sinks, listener);
    try {
      logger.checkSchema(settings.models().format());
      LogChannel channel = logger.channel(settings.models().delivery());
      if (settings.models().topic().indexOf('{') < 0 && !settings.models().topic().isEmpty()) {
        channel.sink().prepare(settings.models().topic());
      }
      return logger;
    } catch (RuntimeException e) {
      logger.close(Duration.ZERO);
      throw e;
    }
  }

  private synchronized void checkSchema(MessageFormat format) {
    if (!format.isAvro() || settings.schemaRegistry().isEmpty()) {
      return;
    }
    boolean isV4 = format == MessageFormat.HOPSWORKS_V4;
    int id =
        new SchemaRegistry(settings.schemaRegistry().get())
            .check(
                HopsworksFormat.SUBJECT,
                isV4 ? 4 : 3,
                isV4 ? HopsworksFormat.V4 : HopsworksFormat.V3);
    if (settings.schemaHeader() && settings.schemaId() < 0) {
      schemaId = id;
    }
  }

  private synchronized LogChannel channel(Delivery delivery) {
    LogChannel known = channels.get(delivery);
    if (known != null) {
      return known;
    }
    if (settings.schemaHeader() && schemaId < 0) {
      throw InferenceException.invalidArgument(
          "the logger's schema-header needs the schema's number: set schema-id, or schema-registry"
              + " to one that can be reached");
    }
    boolean promised = delivery == Delivery.AT_LEAST_ONCE;
    Sink sink = sinks.open(promised);
    Spool spool;
    try {
      spool =
          promised
              ? new Spool(
                  settings.spool().orElseThrow(),
                  settings.spoolBytes(),
                  settings.spoolSync(),
                  listener)
              : null;
    } catch (RuntimeException e) {
      sink.close();
      throw e;
    }
    MessageEncoder encoder =
        new MessageEncoder(
            new CloudEventsFormat(settings.deployment(), Clock.systemUTC()),
            new HopsworksFormat(
                settings.deployment(), schemaId, settings.bufferBytes() / 4, listener));
    LogChannel channel =
        new LogChannel(
            delivery.name().toLowerCase(Locale.ROOT).replace('_', '-'),
            settings.bufferBytes(),
            encoder,
            spool,
            sink,
            listener);
    channels.put(delivery, channel);
    open = List.copyOf(channels.values());
    return channel;
  }

  @Override
  public InferenceLogger forModel(ModelId id, Settings section) {
    ModelSettings given = settings.models().with(section);
    section.rejectUnknown();
    settings.check(given);
    if (given.format() != settings.models().format()) {
      checkSchema(given.format());
    }
    LogChannel channel = channel(given.delivery());
    channel.sink().prepare(given.topicOf(id.name()));
    listener.opened(id.name());
    return models.compute(
        id.name(),
        (name, known) -> {
          OfModel model = known == null ? new OfModel(name) : known;
          model.configure(given, channel);
          return model;
        });
  }

  /** Asked of a model's own logger only. */
  @Override
  public void log(InferenceRecord record) {
    OfModel model = models.get(record.model().name());
    if (model != null && model.wants(record.side(), record.id(), record.parameters())) {
      model.log(record);
    }
  }

  @Override
  public Map<String, Object> settings(String name) {
    OfModel model = models.get(name);
    return model == null ? Map.of() : model.state.settings().asMap();
  }

  @Override
  public void change(String name, Settings changes) {
    OfModel model = models.get(name);
    if (model == null) {
      throw InferenceException.notFound(
          "there is no inference log of a model '%s'".formatted(name));
    }
    model.change(changes);
  }

  @Override
  public Holdings holdings() {
    long buffered = 0;
    long spooled = 0;
    long oldest = Long.MAX_VALUE;
    for (LogChannel channel : open) {
      buffered += channel.bufferedBytes();
      spooled += channel.spooledBytes();
      long millis = channel.oldestMillis();
      oldest = millis == 0 ? oldest : Math.min(oldest, millis);
    }
    long age = oldest == Long.MAX_VALUE ? 0 : System.currentTimeMillis() - oldest;
    return new Holdings(buffered, spooled, Duration.ofMillis(Math.max(0, age)));
  }

  @Override
  public void close(Duration grace) {
    long end = System.nanoTime() + grace.toNanos();
    for (LogChannel channel : open) {
      channel.close(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
    }
  }

  /** What a model's records are treated by, at one moment. */
  private record State(ModelSettings settings, LogChannel channel) {}

  /** The log of all versions of one model. */
  private final class OfModel implements InferenceLogger {
    private final String name;
    private @Nullable ModelSettings configured;
    private volatile State state;

    /** Of the last inputs and outputs that were logged. */
    private volatile Layout inputs = Layout.NONE;

    private volatile Layout outputs = Layout.NONE;

    OfModel(String name) {
      this.name = name;
      this.state = new State(settings.models(), channel(settings.models().delivery()));
    }

    /** Takes what the configuration says, unless it says what it said before. */
    synchronized void configure(ModelSettings given, LogChannel channel) {
      if (!given.equals(configured)) {
        configured = given;
        state = new State(given, channel);
      }
    }

    @Override
    public synchronized void change(String model, Settings changes) {
      change(changes);
    }

    synchronized void change(Settings changes) {
      ModelSettings changed = state.settings().with(changes);
      changes.rejectUnknown();
      settings.check(changed);
      if (changed.format() != state.settings().format()) {
        checkSchema(changed.format());
      }
      LogChannel channel = channel(changed.delivery());
      channel.sink().prepare(changed.topicOf(name));
      state = new State(changed, channel);
    }

    @Override
    public Map<String, Object> settings(String model) {
      return state.settings().asMap();
    }

    @Override
    public void admit() {
      State now = state;
      if (now.settings().whenFull() == WhenFull.REFUSE && now.settings().mode() != LogMode.NONE) {
        now.channel().requireRoom();
      }
    }

    @Override
    public boolean wants(Side side, String id, Parameters parameters) {
      ModelSettings now = state.settings();
      return Sampling.wants(now, side, id, parameters);
    }

    @Override
    public void log(InferenceRecord record) {
      State now = state;
      if (record.error() == null || now.settings().errors()) {
        now.channel().log(record, layout(record), now.settings());
      }
    }

    private Layout layout(InferenceRecord record) {
      TensorMap tensors = record.tensors();
      if (tensors.isEmpty()) {
        return Layout.NONE;
      }
      boolean isInput = record.side() == Side.MODEL_INPUTS;
      Layout last = isInput ? inputs : outputs;
      Layout layout = last.of(tensors);
      if (layout != last && isInput) {
        inputs = layout;
      } else if (layout != last) {
        outputs = layout;
      }
      return layout;
    }

    @Override
    public Holdings holdings() {
      return QueuedLogger.this.holdings();
    }
  }
}
