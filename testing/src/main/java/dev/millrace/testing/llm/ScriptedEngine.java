package dev.millrace.testing.llm;

import dev.millrace.testing.llm.ReceivedRequest.End;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * An engine on a port of its own that answers as vLLM does, byte for byte, and goes wrong as a
 * {@link Script} says. Thread-safe.
 *
 * <p>Which script a request for a model follows: the one in its header {@value Script#HEADER}; else
 * the next one in the queue; else the one in its JSON's field {@value Script#FIELD}; else the one
 * that always holds. Health, metrics, version and the list of models follow none.
 *
 * <p>The answer to a prompt is the prompt, unless the script has another; a word is a token. An
 * embedding depends on nothing but its text. A request with tools calls the first one, with its
 * prompt as the argument {@code text}, until a message is a tool's.
 *
 * <p>As a process, {@link EngineMain} has the options of {@code vllm serve} that matter, and paths
 * under {@code /_scripted}.
 */
public final class ScriptedEngine implements AutoCloseable {
  /** As many requests are remembered. */
  private static final int MOST_REMEMBERED = 20_000;

  private static final int BACKLOG = 1024;
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private final Dialect dialect;
  private final List<String> models;
  private final Set<String> adapters;
  private final List<String> keys;
  private final Duration keepAlive;
  private final boolean echoesRequestId;
  private final long startedSeconds = System.currentTimeMillis() / 1000;
  private final InetSocketAddress address;
  private final Routes routes;
  private final Control control;
  private final Set<EngineConnection> connections = ConcurrentHashMap.newKeySet();
  private final Set<ReceivedRequest> running = ConcurrentHashMap.newKeySet();
  private final Set<ReceivedRequest> stalled = ConcurrentHashMap.newKeySet();
  private final Deque<ReceivedRequest> requests = new ArrayDeque<>();
  private final Queue<Script> queue = new ConcurrentLinkedQueue<>();
  private final Queue<String> notes = new ConcurrentLinkedQueue<>();
  private final AtomicInteger connectionsSeen = new AtomicInteger();
  private final AtomicLong eventsSent = new AtomicLong();
  private volatile Script always = Script.PLAIN;
  private volatile int healthStatus = 200;
  private volatile int waiting;
  private volatile double cacheUsage;
  private volatile boolean isClosed;
  private @Nullable ServerSocket server;

  private ScriptedEngine(Builder builder) throws IOException {
    this.dialect = builder.dialect;
    this.models = new CopyOnWriteArrayList<>(builder.models);
    this.adapters = ConcurrentHashMap.newKeySet();
    this.adapters.addAll(builder.adapters);
    this.models.addAll(builder.adapters);
    this.keys = List.copyOf(builder.keys);
    this.keepAlive = builder.keepAlive;
    this.echoesRequestId = builder.echoesRequestId;
    this.routes = new Routes(this);
    this.control = new Control(this);
    ServerSocket bound = bind(new InetSocketAddress(builder.host, builder.port));
    this.address = (InetSocketAddress) bound.getLocalSocketAddress();
    this.server = bound;
    accept(bound);
  }

  /** How an engine is, with vLLM's defaults. Not thread-safe. */
  public static final class Builder {
    private Dialect dialect = Dialect.V0_7_1;
    private List<String> models = List.of("scripted");
    private List<String> adapters = List.of();
    private List<String> keys = List.of();
    private Duration keepAlive = Duration.ofSeconds(5);
    private boolean echoesRequestId;
    private InetAddress host = InetAddress.getLoopbackAddress();
    private int port;

    private Builder() {}

    /** Which vLLM is imitated; 0.7.1 by default. */
    public Builder dialect(Dialect given) {
      dialect = given;
      return this;
    }

    /** The names that the model is served under; {@code scripted} by default. */
    public Builder models(String... names) {
      models = List.of(names);
      return this;
    }

    /** The names of LoRA adapters. */
    public Builder adapters(String... names) {
      adapters = List.of(names);
      return this;
    }

    /** The keys, one of which requests must carry; none by default. */
    public Builder keys(String... given) {
      keys = List.of(given);
      return this;
    }

    /** When idle connections are closed; after 5 s by default. */
    public Builder keepAlive(Duration time) {
      keepAlive = time;
      return this;
    }

    /** Whether the answer has the request's {@code x-request-id}. */
    public Builder echoesRequestId(boolean given) {
      echoesRequestId = given;
      return this;
    }

    /** Where to listen; on the loopback address by default. */
    public Builder host(InetAddress given) {
      host = given;
      return this;
    }

    /** The port; one that is free by default. */
    public Builder port(int given) {
      port = given;
      return this;
    }

    /** Starts it. */
    public ScriptedEngine start() throws IOException {
      return new ScriptedEngine(this);
    }
  }

  /** A builder of engines. */
  public static Builder builder() {
    return new Builder();
  }

  /** Starts an engine as vLLM 0.7.1, with a model called {@code scripted}. */
  public static ScriptedEngine start() throws IOException {
    return builder().start();
  }

  private static ServerSocket bind(InetSocketAddress address) throws IOException {
    ServerSocket socket = new ServerSocket();
    socket.setReuseAddress(true);
    socket.bind(address, BACKLOG);
    return socket;
  }

  private void accept(ServerSocket from) {
    Thread.ofPlatform()
        .daemon()
        .name("scripted-engine-" + address.getPort())
        .start(() -> {
          while (!from.isClosed()) {
            try {
              Socket socket = from.accept();
              socket.setTcpNoDelay(true);
              EngineConnection connection =
                  new EngineConnection(this, socket, connectionsSeen.incrementAndGet());
              connections.add(connection);
              if (isClosed) {
                connection.reset();
              }
              connection.start();
            } catch (SocketException e) {
              note(e.toString());
            } catch (IOException e) {
              note(e.toString());
            }
          }
        });
  }

  // ---- where it is

  /** The port. */
  public int port() {
    return address.getPort();
  }

  /** Host and port, as {@code http://127.0.0.1:8000}. */
  public URI uri() {
    return URI.create(
        "http://%s:%d".formatted(address.getAddress().getHostAddress(), address.getPort()));
  }

  // ---- what it shall do

  /** The names of LoRA adapters from now on. */
  public void adapters(String... names) {
    synchronized (models) {
      models.removeAll(adapters);
      adapters.clear();
      adapters.addAll(List.of(names));
      models.addAll(adapters);
    }
  }

  /** Adds scripts to the queue; each is for one request. */
  public void script(String... texts) {
    for (String text : texts) {
      queue.add(Script.of(text));
    }
  }

  /** The script for requests that have none of their own. */
  public void always(String text) {
    always = Script.of(text);
  }

  /** What {@code /health} answers; 200 by default. */
  public void health(int status) {
    healthStatus = status;
  }

  /**
   * What the metrics say.
   *
   * @param waitingRequests how many wait
   * @param usage of the cache, from 0 to 1
   */
  public void load(int waitingRequests, double usage) {
    waiting = waitingRequests;
    cacheUsage = usage;
  }

  /** Refuses connections from now on; those that are open stay. */
  public synchronized void refuse() throws IOException {
    if (server != null) {
      server.close();
      server = null;
    }
  }

  /** Accepts connections again, on the same port. */
  public synchronized void acceptAgain() throws IOException {
    if (server == null && !isClosed) {
      ServerSocket bound = bind(address);
      server = bound;
      accept(bound);
    }
  }

  /** Ends all open connections with RST. */
  public void resetConnections() {
    connections.forEach(EngineConnection::reset);
  }

  /** Lets all go on that are stalled now. */
  public void release() {
    stalled.forEach(ReceivedRequest::wake);
  }

  /** Forgets requests, scripts and load, and is healthy again. */
  public void forget() {
    queue.clear();
    always = Script.PLAIN;
    healthStatus = 200;
    load(0, 0);
    synchronized (requests) {
      requests.clear();
    }
  }

  // ---- what it has seen

  /**
   * The requests for a model, in the order in which they came; no health, metrics, version and
   * lists.
   */
  public List<ReceivedRequest> requests() {
    synchronized (requests) {
      return requests.stream().filter(request -> Routes.isScripted(request.path())).toList();
    }
  }

  /** All requests, those for health and metrics too. */
  public List<ReceivedRequest> allRequests() {
    synchronized (requests) {
      return List.copyOf(requests);
    }
  }

  /**
   * Waits for so many requests for a model since the start or since all was forgotten.
   *
   * @return all that there are then
   * @throws AssertionError if there are fewer after ten seconds
   */
  public List<ReceivedRequest> awaitRequests(int count) throws InterruptedException {
    long limit = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      List<ReceivedRequest> found = requests();
      if (found.size() >= count) {
        return found;
      }
      synchronized (requests) {
        long left = TimeUnit.NANOSECONDS.toMillis(limit - System.nanoTime());
        if (left <= 0) {
          throw new AssertionError(
              "%d requests after %d s, not %d: %s; %s"
                  .formatted(found.size(), PATIENCE.toSeconds(), count, found, notes()));
        }
        requests.wait(Math.min(left, 20));
      }
    }
  }

  /** Connections that are open. */
  public int openConnections() {
    return connections.size();
  }

  /** Connections that were ever accepted. */
  public int connectionsSeen() {
    return connectionsSeen.get();
  }

  /** Requests that are being answered. */
  public int running() {
    return running.size();
  }

  /** What went wrong with connections, for people. */
  public List<String> notes() {
    return List.copyOf(notes);
  }

  // ---- for its parts

  Dialect dialect() {
    return dialect;
  }

  List<String> models() {
    return models;
  }

  Set<String> adapters() {
    return adapters;
  }

  Duration keepAlive() {
    return keepAlive;
  }

  boolean echoesRequestId() {
    return echoesRequestId;
  }

  long startedSeconds() {
    return startedSeconds;
  }

  int healthStatus() {
    return healthStatus;
  }

  int waiting() {
    return waiting;
  }

  double cacheUsage() {
    return cacheUsage;
  }

  long eventsSent() {
    return eventsSent.get();
  }

  boolean isAllowed(@Nullable String authorization) {
    return keys.isEmpty()
        || (authorization != null
            && authorization.startsWith("Bearer ")
            && keys.contains(authorization.substring("Bearer ".length())));
  }

  /** The script that a request's head tells, or the queue. */
  Script scriptFor(HttpReader.Head head) {
    String given = head.header(Script.HEADER);
    if (given != null) {
      return read(given);
    }
    Script queued = Routes.isScripted(pathOf(head.target())) ? queue.poll() : null;
    return queued == null ? Script.PLAIN : queued;
  }

  private static String pathOf(String target) {
    int query = target.indexOf('?');
    return query < 0 ? target : target.substring(0, query);
  }

  private static Script read(String text) {
    try {
      return Script.of(text);
    } catch (IllegalArgumentException e) {
      return Script.of("status=400;message=" + String.valueOf(e.getMessage()).replace(';', ','));
    }
  }

  /** The script of a request's JSON, or the one that always holds, if its head told none. */
  Script scriptIn(ReceivedRequest request, Script told) {
    if (told != Script.PLAIN || !Routes.isScripted(request.path())) {
      return told;
    }
    if (request.text().contains("\"" + Script.FIELD + "\"")) {
      try {
        if (Json.parse(request.text()) instanceof Map<?, ?> fields
            && fields.get(Script.FIELD) instanceof String text) {
          return read(text);
        }
      } catch (IllegalArgumentException e) {
        return always;
      }
    }
    return always;
  }

  Answer answer(ReceivedRequest request, Script script) {
    return request.path().startsWith("/_scripted")
        ? control.answer(request)
        : routes.answer(request, script);
  }

  void received(ReceivedRequest request) {
    synchronized (requests) {
      requests.add(request);
      if (requests.size() > MOST_REMEMBERED) {
        requests.remove();
      }
      requests.notifyAll();
    }
  }

  void began(ReceivedRequest request) {
    if (Routes.isScripted(request.path())) {
      running.add(request);
    }
  }

  void ended(ReceivedRequest request) {
    running.remove(request);
    stalled.remove(request);
  }

  void stalled(ReceivedRequest request) {
    stalled.add(request);
  }

  void sentEvent() {
    eventsSent.incrementAndGet();
  }

  void closed(EngineConnection connection) {
    connections.remove(connection);
  }

  void note(String text) {
    if (notes.size() < 100) {
      notes.add(text);
    }
  }

  /** Ends it, and all connections with RST. */
  @Override
  public void close() throws IOException {
    isClosed = true;
    refuse();
    for (ReceivedRequest request : running) {
      request.ended(End.BROKEN);
    }
    resetConnections();
  }
}
