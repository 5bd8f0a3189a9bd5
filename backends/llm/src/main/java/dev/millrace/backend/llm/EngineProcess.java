package dev.millrace.backend.llm;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One run of an engine: a process and all that it starts. Thread-safe.
 *
 * <p>Between the server and the engine stands a shell that ends the engine when its input ends,
 * which it does when the server wants it to, and when the server is gone, however that went. The
 * engine is a session of its own where the system knows how to make one, so that what is typed at
 * the server's terminal does not reach it, and all of it can be killed at once.
 */
final class EngineProcess {
  private static final Logger LOG = LoggerFactory.getLogger(EngineProcess.class);

  private static final long FIRST_POLL_MILLIS = 50;
  private static final long LONGEST_POLL_MILLIS = 1000;
  private static final int POLL_TIMEOUT_MILLIS = 5000;
  private static final long LAST_WORDS_MILLIS = 1000;
  private static final long GRACE_MILLIS = 5000;

  private static final String GUARD =
      """
      grace=$1
      shift
      exec 3<&0 < /dev/null
      trap : INT HUP TERM
      run=
      ! setsid true 2> /dev/null || run=setsid
      ! setpriv --pdeathsig KILL true 2> /dev/null || run="setpriv --pdeathsig KILL $run"
      $run "$@" 3<&- &
      engine=$!
      (
        while read -r line <&3; do :; done
        kill -TERM "$engine" 2> /dev/null
        waited=0
        while [ "$waited" -lt "$grace" ] && kill -0 "$engine" 2> /dev/null; do
          sleep 1
          waited=$((waited + 1))
        done
        kill -KILL -- "-$engine" "$engine" 2> /dev/null
      ) &
      watch=$!
      exec 3<&-
      while :; do
        wait "$engine"
        status=$?
        kill -0 "$engine" 2> /dev/null || break
      done
      kill -KILL -- "-$engine" 2> /dev/null
      kill -KILL "$watch" 2> /dev/null
      exit "$status"
      """;

  private final String name;
  private final LaunchSettings launch;
  private final Process process;
  private final EngineOutput output;
  private final URI address;
  private volatile List<ProcessHandle> engines = List.of();

  private EngineProcess(String name, LaunchSettings launch, Process process, URI address) {
    this.name = name;
    this.launch = launch;
    this.process = process;
    this.address = address;
    this.output = EngineOutput.of(name, process.getInputStream());
  }

  /**
   * Starts an engine; it loads its model then.
   *
   * @throws InferenceException FAILED_PRECONDITION if there is no such command
   */
  static EngineProcess start(String name, LaunchSettings launch, EngineCommand command) {
    try {
      int port = launch.port() == 0 ? freePort(launch.host()) : launch.port();
      List<String> words = command.at(launch.host(), port);
      long grace = Math.max(1, (launch.stopTimeout().toMillis() + 999) / 1000);
      List<String> guarded =
          new ArrayList<>(List.of("/bin/sh", "-c", GUARD, "millrace-engine", Long.toString(grace)));
      guarded.addAll(words);
      ProcessBuilder builder =
          new ProcessBuilder(guarded)
              .directory(command.directory().toFile())
              .redirectErrorStream(true);
      builder.environment().putAll(command.environment());
      LOG.info("{}: starting {}", name, String.join(" ", redacted(words, command)));
      String host = launch.host().contains(":") ? "[" + launch.host() + "]" : launch.host();
      return new EngineProcess(
          name, launch, builder.start(), URI.create("http://%s:%d".formatted(host, port)));
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: the engine cannot be started: %s".formatted(name, e.getMessage()),
          e);
    }
  }

  private static List<String> redacted(List<String> words, EngineCommand command) {
    return words.stream()
        .map(word -> command.key().filter(word::equals).isPresent() ? "***" : word)
        .toList();
  }

  private static int freePort(String host) throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName(host))) {
      return socket.getLocalPort();
    }
  }

  /** Where it listens. */
  URI address() {
    return address;
  }

  /** The process that guards the engine. */
  long pid() {
    return process.pid();
  }

  /**
   * Waits until the engine says that it is ready.
   *
   * @throws InferenceException FAILED_PRECONDITION with its last words if it ends before, or is not
   *     in time
   */
  void awaitReady() throws InterruptedException {
    long start = System.nanoTime();
    long pause = FIRST_POLL_MILLIS;
    while (!isReady()) {
      if (process.waitFor(pause, TimeUnit.MILLISECONDS)) {
        throw failed("the engine ended%s before it was ready".formatted(describeExit()));
      }
      if (System.nanoTime() - start > launch.readyTimeout().toNanos()) {
        throw failed(
            "the engine was not ready after %d s; asked at %s%s"
                .formatted(launch.readyTimeout().toSeconds(), address, launch.readyPath()));
      }
      pause = Math.min(2 * pause, LONGEST_POLL_MILLIS);
    }
    engines = process.descendants().toList();
    LOG.info(
        "{}: ready at {} after {} ms",
        name,
        address,
        TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
  }

  private InferenceException failed(String what) {
    if (!process.isAlive()) {
      output.awaitEnd(LAST_WORDS_MILLIS);
    }
    List<String> lines = output.lastLines();
    return new InferenceException(
        ErrorCode.FAILED_PRECONDITION,
        "%s: %s%s"
            .formatted(
                name, what, lines.isEmpty() ? "" : "; it said last: " + String.join(" | ", lines)));
  }

  private boolean isReady() {
    try {
      HttpURLConnection connection =
          (HttpURLConnection) address.resolve(launch.readyPath()).toURL().openConnection();
      connection.setConnectTimeout(POLL_TIMEOUT_MILLIS);
      connection.setReadTimeout(POLL_TIMEOUT_MILLIS);
      connection.setRequestProperty("Connection", "close");
      try {
        return connection.getResponseCode() == 200;
      } finally {
        connection.disconnect();
      }
    } catch (IOException e) {
      LOG.trace("{}: not ready yet", name, e);
      return false;
    }
  }

  /** Waits for its end. */
  void awaitExit() throws InterruptedException {
    process.waitFor();
    killRest();
  }

  /** How it ended, as in {@code " (killed by signal 9)"}. */
  String describeExit() {
    if (process.isAlive()) {
      return "";
    }
    int status = process.exitValue();
    return status > 128
        ? " (killed by signal %d)".formatted(status - 128)
        : " (exit status %d)".formatted(status);
  }

  /** What the engine has started and its guard has left, as when that was killed. */
  private void killRest() {
    for (ProcessHandle engine : engines) {
      if (engine.destroyForcibly()) {
        LOG.debug("{}: process {} was left and is killed", name, engine.pid());
      }
    }
  }

  /** Ends it: by a signal that it may take its time for, then by force. Returns when it is gone. */
  void stop() {
    try {
      process.getOutputStream().close();
    } catch (IOException e) {
      LOG.debug("{}: its guard is gone", name, e);
    }
    boolean ended = false;
    try {
      ended =
          process.waitFor(launch.stopTimeout().toMillis() + GRACE_MILLIS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (!ended) {
      LOG.warn("{}: process {} did not end and is killed", name, pid());
      List<ProcessHandle> all = process.descendants().toList();
      process.destroyForcibly();
      all.forEach(ProcessHandle::destroyForcibly);
    }
    killRest();
    output.awaitEnd(LAST_WORDS_MILLIS);
  }
}
