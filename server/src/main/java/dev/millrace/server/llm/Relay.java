package dev.millrace.server.llm;

import static java.util.Objects.requireNonNull;

import dev.millrace.api.InferenceException;
import dev.millrace.api.spi.Upstream;
import dev.millrace.api.spi.UpstreamPolicy;
import dev.millrace.api.spi.UpstreamPolicy.Choice;
import dev.millrace.runtime.GenerationMeters;
import dev.millrace.server.http.HttpExchange;
import dev.millrace.server.llm.TimeLimits.Limit;
import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.opentelemetry.api.trace.Span;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One request on its way to an upstream, and the answer on its way back. Everything but {@link
 * #admitted} happens on the event loop of the client's connection, which the upstream's connection
 * shares.
 *
 * <p>As long as the client has been sent nothing, another upstream may be tried. A short answer is
 * held until it is complete, so that one that breaks off is answered with an error; a long one, and
 * a stream of events from its first event on, goes out as it comes, as fast as the client takes it.
 */
final class Relay implements UpstreamConnection.Receiver, Gate.Visitor, TimeLimits.Watched {
  /** Largest answer that is held until it is complete. */
  private static final int MOST_HELD = 256 << 10;

  /** A connection that was closed for being idle breaks at once; one that breaks later was used. */
  private static final long STALE_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** Most parts of an answer that are looked at for the name of the response that it is. */
  private static final int MOST_LOOKS = 3;

  /** Most bytes of an upstream's error that are read. */
  private static final int MOST_ERROR = 1 << 20;

  private enum Phase {
    /** Waits to be let in. */
    QUEUED,
    /** Waits for an upstream. */
    ASKING,
    /** The answer is coming in. */
    ANSWERING,
    OVER
  }

  /** What the upstream's answer is. */
  private enum Form {
    NONE,
    PLAIN,
    EVENTS,
    ERROR
  }

  private final RelayParts parts;
  private final LlmRequest request;
  private final HttpExchange exchange;
  private final Target target;
  private final ServedModel model;
  private final UpstreamPolicy policy;
  private final List<Replica> tried = new ArrayList<>(2);
  private final TimeLimits limits;
  private Phase phase = Phase.QUEUED;
  private boolean isInside;

  /** What of the server's memory for requests is taken for the request's body. */
  private int requestMemory;

  // The attempt that is under way.
  private Replica.@Nullable Visit visit;

  private Span span = Span.getInvalid();

  /** The upstream that was asked last; empty before. */
  private String asked = "";

  /** The replica that alone has what the request is about; null if it may be any. */
  private @Nullable Replica home;

  private @Nullable UpstreamConnection connection;
  private int attempt;

  // The answer.
  private Form form = Form.NONE;
  private int status;
  private @Nullable HttpHeaders headers;
  private @Nullable StreamObserver observer;
  private @Nullable SseFramer framer;
  private final HeldAnswer held;
  private final ClientAnswer answer;

  /** Whether nothing is read, because the client takes nothing. */
  private boolean isPaused;

  /** How often a part of the answer was looked at for the name of the response that it is. */
  private int looks;

  /**
   * A relay of one request.
   *
   * @param request taken over
   * @param target its lease is taken over
   */
  Relay(RelayParts parts, LlmRequest request, Target target, ServedModel model) {
    this.parts = parts;
    this.request = request;
    this.exchange = request.exchange();
    this.target = target;
    this.model = model;
    this.policy = model.policy();
    this.limits = new TimeLimits(exchange.eventLoop(), policy, this);
    this.held = new HeldAnswer(parts);
    this.answer = new ClientAnswer(request, this::resume);
  }

  // ---- to be let in

  void start() {
    exchange.onAbort(this::clientGone);
    if (phase == Phase.OVER) {
      return;
    }
    int size = request.body().readableBytes();
    if (!parts.takeMemory(size)) {
      failHere(
          InferenceException.exhausted(
              "the server has reached its limit of bytes of requests in flight",
              Duration.ofSeconds(1)));
      return;
    }
    requestMemory = size;
    try {
      if (request.operation().isOfResponse()) { // what asks for no work, needs not wait for others
        begin(false);
      } else if (model.gate().enter(this)) {
        begin(true);
      } else {
        limits.arm();
      }
    } catch (RuntimeException e) {
      failHere(e);
    }
  }

  @Override
  public String key() {
    return request.key();
  }

  @Override
  public void admitted() {
    exchange
        .eventLoop()
        .execute(() -> {
          if (phase == Phase.QUEUED) {
            begin(true);
          } else {
            model.gate().leave(this);
          }
        });
  }

  /**
   * It is let in.
   *
   * @param counted whether the gate has to be told when it leaves
   */
  private void begin(boolean counted) {
    isInside = counted;
    phase = Phase.ASKING;
    limits.start(Limit.HEARTBEAT, System.nanoTime());
    model.budget().pay();
    try {
      parts.log().begin(target.lease(), request);
      ask();
    } catch (RuntimeException e) {
      failHere(e);
    }
  }

  // ---- to ask an upstream

  private void ask() {
    Balancer balancer = model.balancer();
    if (balancer.replicas().isEmpty()) {
      String message = "no engine answers for the model `%s` yet".formatted(model.id().name());
      if (mayFallBack()) {
        giveUp(503, message);
      } else {
        failHere(InferenceException.unavailable(message, Duration.ofSeconds(1)));
      }
      return;
    }
    long now = System.nanoTime();
    Upstream at = request.home();
    home = at == null ? null : balancer.at(at);
    Replica chosen =
        home != null ? home : balancer.choose(tried, affinity(balancer), adapter(), now);
    if (chosen == null) {
      giveUp(503, "no upstream of the model `%s` is left to try".formatted(model.id().name()));
      return;
    }
    tried.add(chosen);
    asked = chosen.upstream().toString();
    visit = chosen.begin(now);
    span =
        GenerationSpans.start(
            exchange.trace(), request.operation(), model.id().name(), chosen.upstream());
    open(chosen, false);
  }

  private @Nullable String adapter() {
    return target.naming() == Target.Naming.ADAPTER ? request.scan().model() : null;
  }

  private @Nullable Long affinity(Balancer balancer) {
    if (!balancer.isAffine()) {
      return null;
    }
    if (policy.balancing().choice() == Choice.PREFIX) {
      return (long) request.scan().prefixHash(request.body(), policy.balancing().prefixBytes());
    }
    String session = exchange.headers().get(policy.balancing().sessionHeader());
    session = session == null ? request.scan().session() : session;
    return session == null ? null : (long) session.hashCode();
  }

  private void open(Replica chosen, boolean fresh) {
    UpstreamPool pool = parts.pool(exchange.eventLoop());
    UpstreamConnection pooled = fresh ? null : pool.take(chosen.upstream());
    if (pooled != null) {
      send(pooled, chosen);
      return;
    }
    int current = ++attempt;
    pool.connect(
        chosen.upstream(),
        policy.times().connect(),
        made -> {
          if (current == attempt && phase == Phase.ASKING) {
            send(made, chosen);
          } else {
            pool.put(made);
          }
        },
        cause -> {
          if (current == attempt && phase == Phase.ASKING) {
            failed(503, "an upstream could not be reached");
          }
        });
    limits.arm();
  }

  private void send(UpstreamConnection to, Replica chosen) {
    attempt++;
    connection = to;
    form = Form.NONE;
    boolean counts = request.isStream() && request.operation().streamsChoices();
    boolean asks = counts && policy.countsUsage() && !request.scan().asksForUsage();
    ByteBuf body =
        request
            .scan()
            .edited(request.body(), target.nameAt(chosen.upstream()), asks, request.body().alloc());
    observer = new StreamObserver(asks, parts.log().mostText(target.lease()));
    ByteBuf head =
        RequestHead.write(
            request.body().alloc(),
            chosen.upstream(),
            request.operation().method().name(),
            request.path(),
            exchange.headers(),
            span,
            authorization(chosen),
            passed(chosen, RequestHead.API_KEY),
            request.id(),
            body.readableBytes());
    long now = System.nanoTime();
    limits.start(Limit.FIRST_TOKEN, now);
    limits.start(Limit.GAP, now);
    to.setReading(true);
    to.send(head, body, this);
    limits.arm();
  }

  private @Nullable String authorization(Replica chosen) {
    if (chosen.upstream().key().isPresent()) {
      return "Bearer " + chosen.upstream().key().get();
    }
    return passed(chosen, HttpHeaderNames.AUTHORIZATION);
  }

  /** What the client says in a header with its key, if the upstream shall see it. */
  private @Nullable String passed(Replica chosen, CharSequence header) {
    boolean isPassed = policy.forwardsAuthorization() && chosen.upstream().key().isEmpty();
    return isPassed ? exchange.headers().get(header) : null;
  }

  // ---- the upstream's answer

  @Override
  public void head(int answered, HttpHeaders with) {
    status = answered;
    headers = with;
    if (policy.retryOn().contains(answered)) {
      boolean isRetried = takeRetry();
      if (isRetried || mayFallBack()) {
        failed(answered, "an upstream answered " + answered, isRetried);
        return;
      }
    }
    if (answered == 404 && isSought()) {
      current().succeeded(System.nanoTime());
      endAttempt();
      ask();
      return;
    }
    String type = with.get(HttpHeaderNames.CONTENT_TYPE, "");
    boolean isEvents = type.regionMatches(true, 0, "text/event-stream", 0, 17);
    if (answered >= 400) {
      form = Form.ERROR;
    } else if (isEvents) {
      form = Form.EVENTS;
      framer = new SseFramer(requireNonNull(observer));
    } else if (request.isStream() && request.operation().streamsChoices()) {
      failed(502, "the upstream does not stream: it answered with '%s'".formatted(type));
    } else {
      form = Form.PLAIN;
    }
  }

  /** Whether what the request is about may be at another upstream, that has not been asked. */
  private boolean isSought() {
    return request.operation().isOfResponse()
        && home == null
        && model.balancer().hasUntried(tried, null);
  }

  @Override
  public void content(ByteBuf piece) {
    if (phase == Phase.OVER || form == Form.NONE) {
      piece.release();
      return;
    }
    phase = Phase.ANSWERING;
    switch (form) {
      case NONE -> piece.release();
      case ERROR -> {
        if (!held.add(piece, MOST_ERROR)) {
          piece.release();
        }
      }
      case EVENTS -> events(piece);
      case PLAIN -> {
        if (answer.hasBegun() || !held.add(piece, MOST_HELD)) {
          held.moveTo(this::pass);
          pass(piece);
        }
      }
    }
  }

  private void events(ByteBuf piece) {
    StreamObserver seen = requireNonNull(observer);
    boolean isFirst = seen.events() == 0;
    requireNonNull(framer).add(piece, piece.alloc(), this::pass);
    if (seen.events() > 0 && seen.lastNanos() - limits.startOf(Limit.GAP) > 0) {
      limits.start(Limit.GAP, seen.lastNanos());
    }
    if (isFirst && seen.events() > 0) {
      current().succeeded(System.nanoTime());
      series().firstToken(seen.firstNanos() - sentNanos());
      limits.arm();
    }
  }

  /** Sends a part of the answer to the client, which begins with it at the latest. */
  private void pass(ByteBuf part) {
    learn(part);
    answer.begin(status, requireNonNull(headers), form == Form.EVENTS).write(part);
  }

  /** Takes note of where the response is that the engine makes, by the answer's first parts. */
  private void learn(ByteBuf part) {
    if (request.operation() == Operation.RESPONSES && looks < MOST_LOOKS) {
      Upstream upstream = current().replica().upstream();
      ResponseHomes.Home made = new ResponseHomes.Home(model.id().name(), upstream, request.key());
      looks = parts.homes().learn(part, form == Form.EVENTS, made) ? MOST_LOOKS : looks + 1;
    }
  }

  @Override
  public void readComplete() {
    if (phase != Phase.OVER && !answer.flush()) {
      UpstreamConnection from = connection;
      if (from != null) {
        isPaused = true;
        from.setReading(false);
      }
    }
  }

  /** The client takes more. */
  private void resume() {
    UpstreamConnection from = connection;
    if (isPaused && from != null) {
      isPaused = false;
      limits.start(Limit.GAP, System.nanoTime());
      from.setReading(true);
      limits.arm();
    }
  }

  @Override
  public void completed() {
    connection = null;
    if (phase == Phase.OVER) {
      return;
    }
    switch (form) {
      case NONE -> failed(502, "an upstream answered nothing");
      case ERROR -> relayError();
      case PLAIN -> {
        current().succeeded(System.nanoTime());
        if (answer.hasBegun()) {
          answer.finish();
        } else {
          respond();
        }
        settle(status, "");
      }
      case EVENTS -> {
        ByteBuf rest = requireNonNull(framer).rest();
        if (rest != null) {
          pass(rest);
        }
        StreamObserver seen = requireNonNull(observer);
        if (!answer.hasBegun() || (seen.events() == 0 && !seen.isDone())) {
          failed(502, "an upstream ended its stream before the first event");
        } else {
          endStream();
        }
      }
    }
  }

  private void endStream() {
    answer.finish();
    settle(200, requireNonNull(observer).isFailed() ? "stream_error" : "");
  }

  /** Answers with what was held. */
  private void respond() {
    ByteBuf body = exchange.newBody(held.size());
    held.moveTo(body);
    requireNonNull(observer).usage().readFrom(body);
    learn(body);
    parts.log().answered(target.lease(), request, body);
    answer.respond(status, requireNonNull(headers), body);
  }

  /** Answers with the upstream's error. */
  private void relayError() {
    if (status >= 500) {
      current().failed(System.nanoTime());
    } else {
      current().succeeded(System.nanoTime());
    }
    if (answer.hasBegun()) { // by a heartbeat
      failAnswer(status, "the upstream answered " + status);
      return;
    }
    ByteBuf body = request.body().alloc().buffer(held.size());
    try {
      held.moveTo(body);
      answer.relayError(status, requireNonNull(headers), body);
    } finally {
      body.release();
    }
    settle(status, Integer.toString(status));
  }

  @Override
  public void broken(Throwable cause) {
    UpstreamConnection lost = requireNonNull(connection);
    connection = null;
    if (phase == Phase.OVER) {
      return;
    }
    if (observer != null && observer.isDone()) { // nothing was missing
      endStream();
    } else if (lost.isReused()
        && !lost.sawBytes()
        && System.nanoTime() - sentNanos() < STALE_NANOS) {
      // It closed the connection for being idle while the request was on its way.
      open(current().replica(), true);
    } else if (cause instanceof IOException) {
      failed(
          502,
          lost.sawBytes()
              ? "an upstream closed the connection before its answer was complete"
              : "an upstream closed the connection without an answer");
    } else {
      failed(502, "what an upstream answered is not HTTP");
    }
  }

  private Replica.Visit current() {
    return requireNonNull(visit);
  }

  // ---- failures

  private boolean mayRetry() {
    return !answer.hasBegun()
        && home == null
        && tried.size() <= policy.retries()
        && model.balancer().hasUntried(tried, adapter());
  }

  private boolean mayFallBack() {
    return !answer.hasBegun()
        && policy.fallback().isPresent()
        && !request.isFallback()
        && !request.operation().isOfResponse();
  }

  /** Whether another upstream is tried, which has been paid for. */
  private boolean takeRetry() {
    return mayRetry() && model.budget().take();
  }

  /** The attempt has failed: tries another upstream, if that is possible. */
  private void failed(int code, String message) {
    failed(code, message, takeRetry());
  }

  private void failed(int code, String message, boolean isRetried) {
    current().failed(System.nanoTime());
    GenerationSpans.fail(span, Integer.toString(code), message);
    endAttempt();
    if (isRetried) {
      answer.retried();
      model.meters().retried();
      phase = Phase.ASKING;
      ask();
    } else {
      giveUp(code, message);
    }
  }

  private void endAttempt() {
    attempt++;
    UpstreamConnection used = connection;
    if (used != null) {
      connection = null;
      used.close();
    }
    Replica.Visit left = visit;
    if (left != null) {
      visit = null;
      left.ended();
    }
    span.end();
    held.release();
    form = Form.NONE;
    if (framer != null) {
      framer.close();
      framer = null;
    }
  }

  /** No upstream is left to be tried. */
  private void giveUp(int code, String message) {
    if (mayFallBack()) {
      LlmRequest again = request.forFallback();
      String name = policy.fallback().orElseThrow();
      settle(code, Integer.toString(code));
      parts.start(again, name);
    } else {
      failAnswer(code, message);
    }
  }

  private void failAnswer(int code, String message) {
    answer.fail(code, message);
    settle(code, Integer.toString(code));
  }

  /** Refused here, before or after the queue. */
  private void failHere(RuntimeException error) {
    answer.fail(error);
    int code = OpenAiErrors.status(InferenceException.of(error).code());
    settle(code, Integer.toString(code));
  }

  private void clientGone() {
    if (phase == Phase.OVER) {
      return;
    }
    if (phase == Phase.QUEUED) {
      model.gate().giveUp(this);
    }
    UpstreamConnection used = connection;
    if (used != null && observer != null && observer.isDone()) {
      connection = null;
      used.drain();
      settle(200, "");
    } else {
      settle(499, "499");
    }
  }

  // ---- time

  @Override
  public boolean isUnder(Limit limit) {
    return switch (limit) {
      case TOTAL -> true;
      case QUEUE -> phase == Phase.QUEUED;
      case FIRST_TOKEN -> isTimed() && !hasToken() && connection != null;
      // Not where an answer that is no stream of events is refused.
      case HEARTBEAT -> isTimed() && !hasToken() && request.operation().streamsChoices();
      case GAP -> isTimed() && hasToken() && !isPaused;
    };
  }

  /** Whether tokens have to come in time. */
  private boolean isTimed() {
    return phase != Phase.QUEUED && request.isStream() && form != Form.PLAIN;
  }

  private boolean hasToken() {
    return observer != null && observer.events() > 0;
  }

  private long sentNanos() {
    return limits.startOf(Limit.FIRST_TOKEN);
  }

  @Override
  public void reached(Limit limit, long now) {
    String time = limits.text(limit);
    switch (limit) {
      case TOTAL -> {
        if (isSilent(now)) {
          current().failed(now);
        }
        if (phase == Phase.QUEUED) {
          model.gate().giveUp(this);
        }
        failAnswer(504, "the answer took longer than " + time);
      }
      case QUEUE -> {
        if (model.gate().giveUp(this)) {
          failHere(
              InferenceException.exhausted(
                  "the model is busy: the request waited for " + time, Duration.ofSeconds(1)));
        }
      }
      case FIRST_TOKEN -> failed(504, "no token came within " + time);
      case HEARTBEAT -> {
        limits.start(Limit.HEARTBEAT, now);
        answer.beat();
      }
      case GAP -> failed(504, "no further token came within " + time);
    }
  }

  /** Whether it is the upstream's doing that there is no answer: it had half of the time. */
  private boolean isSilent(long now) {
    return connection != null
        && !hasToken()
        && !isPaused
        && now - sentNanos() >= limits.length(Limit.TOTAL) / 2;
  }

  // ---- the end

  private GenerationMeters.Series series() {
    return model.meters().of(request.operation().label(), asked);
  }

  /** Gives back all that the request holds. */
  private void settle(int code, String error) {
    if (phase == Phase.OVER) {
      return;
    }
    phase = Phase.OVER;
    GenerationMeters.Series series = series();
    series.answered(error, System.nanoTime() - limits.startOf(Limit.TOTAL));
    StreamObserver seen = observer;
    if (seen != null) {
      series.tokens(seen.usage().input(), seen.usage().output());
      GenerationSpans.tokens(span, seen.usage());
      if (seen.events() > 1) {
        long tokens = Math.max(seen.usage().output(), seen.events());
        series.streamed(seen.lastNanos() - seen.firstNanos(), tokens);
      }
    }
    if (!error.isEmpty()) {
      GenerationSpans.fail(span, error, "");
    }
    parts.log().ended(target.lease(), request, seen, code);
    limits.stop();
    endAttempt();
    if (isInside) {
      isInside = false;
      model.gate().leave(this);
    }
    parts.giveMemory(requestMemory);
    request.close();
    target.lease().close();
  }
}
