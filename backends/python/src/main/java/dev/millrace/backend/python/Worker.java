package dev.millrace.backend.python;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.EOFException;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.net.StandardProtocolFamily;
import java.net.URISyntaxException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One process that runs a script. Thread-safe.
 *
 * <p>The process ends with the server, however that ends: it sees the lifeline close, and on Linux
 * the kernel kills it with the thread that started it, which therefore is one that lives as long as
 * the server.
 */
final class Worker implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Worker.class);

  private static final ExecutorService STARTER =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("python-starter").daemon().factory());

  private static final long LAST_WORDS_MILLIS = 1000;
  private static final long EXIT_MILLIS = 2000;

  private static final String MAIN =
      """
      import sys
      if sys.version_info < (3, 8):
          sys.exit('Python 3.8 or newer is needed, this is ' + sys.version.split()[0])
      path, library, sys.argv = sys.argv[1], sys.argv[2], [sys.argv[3]]
      sys.path[0] = library
      from millrace_worker import serve
      del sys.path[0]
      serve.main(path)
      """;

  private final WorkerSpec spec;
  private final Process process;
  private final ScriptOutput output;
  private final List<Connection> connections = new CopyOnWriteArrayList<>();
  private volatile @Nullable SocketChannel lifeline;
  private Map<String, String> facts = Map.of();
  private long pid;
  private boolean sharesMemory;
  private volatile boolean hasServed;

  private Worker(WorkerSpec spec, Process process) {
    this.spec = spec;
    this.process = process;
    this.pid = process.pid();
    this.output = ScriptOutput.of(spec.name(), process.getInputStream());
  }

  /**
   * Starts a process and waits until its script is loaded.
   *
   * @throws InferenceException FAILED_PRECONDITION with the reason if it cannot be
   */
  static Worker start(WorkerSpec spec) {
    try (Rendezvous rendezvous = Rendezvous.open()) {
      Worker worker = new Worker(spec, launch(spec, rendezvous.path()));
      boolean ready = false;
      try (Limit limit = new Limit(worker, rendezvous)) {
        worker.connect(rendezvous, limit);
        ready = true;
        return worker;
      } finally {
        if (!ready) {
          worker.kill();
          worker.close();
        }
      }
    } catch (IOException e) {
      throw failed("%s: the process cannot be reached: %s".formatted(spec.name(), e), e);
    }
  }

  private static InferenceException failed(String message, @Nullable Throwable cause) {
    return new InferenceException(ErrorCode.FAILED_PRECONDITION, message, cause);
  }

  private static Process launch(WorkerSpec spec, Path socket) {
    List<String> command = new ArrayList<>(spec.interpreter());
    command.addAll(List.of("-u", "-X", "faulthandler", "-c", MAIN));
    command.addAll(
        List.of(
            socket.toString(), library().toString(), spec.options().getOrDefault("script", "")));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(spec.directory().toFile())
            .redirectInput(Redirect.from(Path.of("/dev/null").toFile()))
            .redirectErrorStream(true);
    builder.environment().putAll(spec.environment());
    try {
      return STARTER.submit(builder::start).get();
    } catch (ExecutionException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      throw failed(
          "the Python interpreter %s cannot be started: %s"
              .formatted(spec.interpreter().getFirst(), cause.getMessage()),
          cause);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failed("interrupted while a Python process started", e);
    }
  }

  /** Where the interpreter finds the worker's package: this module's jar or classes. */
  private static Path library() {
    CodeSource source = Worker.class.getProtectionDomain().getCodeSource();
    try {
      if (source != null && source.getLocation() != null) {
        return Path.of(source.getLocation().toURI());
      }
    } catch (URISyntaxException e) {
      LOG.debug("no place of this class", e);
    }
    throw failed("the Python backend must be in a jar or directory of its own", null);
  }

  private void connect(Rendezvous rendezvous, Limit limit) throws IOException {
    FrameReader reader = new FrameReader();
    byte kind;
    try {
      SocketChannel channel = rendezvous.accept();
      lifeline = channel;
      new FrameWriter().begin(Frame.CONFIGURE).texts(spec.options()).send(channel);
      acceptConnections(rendezvous);
      rendezvous.close();
      kind = reader.receive(channel);
      if (kind != Frame.FAILED && connections.size() < spec.connections()) {
        throw new EOFException("the process has ended");
      }
    } catch (IOException e) {
      throw failed(whyNotReady(limit), e);
    }
    if (kind == Frame.FAILED) {
      throw failed(reader.text(), null);
    }
    facts = reader.texts();
    pid = Long.parseLong(facts.getOrDefault("pid", Long.toString(pid)));
    sharesMemory = canShareMemory();
  }

  /** Fewer than there should be if the process has ended, which may have said why before. */
  private void acceptConnections(Rendezvous rendezvous) throws IOException {
    try {
      for (int i = 0; i < spec.connections(); i++) {
        connections.add(new Connection(this, rendezvous.accept()));
      }
    } catch (ClosedChannelException e) {
      LOG.trace("{}: the process ended while it connected", spec.name());
    }
  }

  private String whyNotReady(Limit limit) {
    if (limit.isOver()) {
      return "the script was not ready after %d s".formatted(spec.startTimeout().toSeconds());
    }
    output.awaitEnd(LAST_WORDS_MILLIS);
    List<String> lines = output.lastLines();
    return "the Python process ended before it was ready%s%s"
        .formatted(
            describeExit(), lines.isEmpty() ? "" : "; it said last: " + String.join(" | ", lines));
  }

  private boolean canShareMemory() {
    try {
      return connections.getFirst().provideMemory(1);
    } catch (IOException e) {
      LOG.info(
          "{}: memory cannot be shared, so large tensors are sent: {}", spec.name(), e.toString());
      return false;
    }
  }

  /** Ends a start that takes too long, and one whose process has ended. */
  private static final class Limit implements AutoCloseable {
    private final Thread thread;
    private volatile boolean over;
    private volatile boolean done;

    Limit(Worker worker, Rendezvous rendezvous) {
      this.thread = Thread.ofVirtual().start(() -> watch(worker, rendezvous));
    }

    private void watch(Worker worker, Rendezvous rendezvous) {
      try {
        boolean ended =
            worker.process.waitFor(worker.spec.startTimeout().toNanos(), TimeUnit.NANOSECONDS);
        if (ended) { // and may have said why, which is still to be read
          rendezvous.close();
          Thread.sleep(LAST_WORDS_MILLIS);
        }
        if (!done) {
          over = !ended;
          worker.kill();
          rendezvous.close();
          worker.disconnect();
        }
      } catch (IOException e) {
        LOG.warn("{}: {}", worker.spec.name(), e.toString());
      } catch (InterruptedException e) {
        LOG.trace("{}: the start is over", worker.spec.name());
      }
    }

    boolean isOver() {
      return over;
    }

    @Override
    public void close() {
      done = true;
      thread.interrupt();
    }
  }

  /** A socket in a directory that only this user can enter, gone as soon as all are connected. */
  private static final class Rendezvous implements AutoCloseable {
    private final Path directory;
    private final Path path;
    private final ServerSocketChannel server;

    private Rendezvous(Path directory, ServerSocketChannel server) {
      this.directory = directory;
      this.path = directory.resolve("s");
      this.server = server;
    }

    static Rendezvous open() throws IOException {
      Path directory = privateDirectory();
      ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
      Rendezvous rendezvous = new Rendezvous(directory, server);
      try {
        server.bind(UnixDomainSocketAddress.of(rendezvous.path));
        return rendezvous;
      } catch (IOException | RuntimeException e) {
        rendezvous.close();
        throw e;
      }
    }

    private static Path privateDirectory() throws IOException {
      try {
        return Files.createTempDirectory("millrace-python");
      } catch (IOException e) {
        Path memory = Path.of("/dev/shm");
        if (Files.isWritable(memory)) { // as on a read-only root file system
          return Files.createTempDirectory(memory, "millrace-python");
        }
        throw e;
      }
    }

    Path path() {
      return path;
    }

    SocketChannel accept() throws IOException {
      return server.accept();
    }

    @Override
    public void close() throws IOException {
      server.close();
      Files.deleteIfExists(path);
      Files.deleteIfExists(directory);
    }
  }

  List<Connection> connections() {
    return List.copyOf(connections);
  }

  /** What the process says of itself: versions, the script's class. */
  Map<String, String> facts() {
    return facts;
  }

  long pid() {
    return pid;
  }

  boolean sharesMemory() {
    return sharesMemory;
  }

  /** Notes that a call was answered. */
  void served() {
    if (!hasServed) {
      hasServed = true;
    }
  }

  /** Whether a call was ever answered. */
  boolean hasServed() {
    return hasServed;
  }

  /** Waits for the end of the process. */
  void awaitExit() throws InterruptedException {
    process.waitFor();
  }

  boolean isAlive() {
    return process.isAlive();
  }

  /** How the process ended, as in {@code " (killed by signal 9)"}; empty while it runs. */
  String describeExit() {
    try {
      if (!process.waitFor(LAST_WORDS_MILLIS, TimeUnit.MILLISECONDS)) {
        return "";
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
    int status = process.exitValue();
    return status > 128
        ? " (killed by signal %d)".formatted(status - 128)
        : " (exit status %d)".formatted(status);
  }

  /** Ends the process at once, with all that its script started. */
  void kill() {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
    if (pid != ProcessHandle.current().pid()) {
      ProcessGroup.kill(pid);
    }
  }

  /** Closes the connections: calls that are under way fail, and the process ends by itself. */
  private void disconnect() {
    connections.forEach(Connection::close);
    SocketChannel channel = lifeline;
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        LOG.debug("{}: closing the lifeline", spec.name(), e);
      }
    }
  }

  /** Ends the process and waits until it is gone. */
  @Override
  public void close() {
    disconnect();
    try {
      if (!process.waitFor(EXIT_MILLIS, TimeUnit.MILLISECONDS)) {
        LOG.debug("{}: process {} did not end by itself", spec.name(), pid);
      }
      kill();
      process.waitFor();
    } catch (InterruptedException e) {
      kill();
      Thread.currentThread().interrupt();
    }
    output.awaitEnd(LAST_WORDS_MILLIS);
  }
}
