package dev.millrace.server;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Waits for SIGTERM or SIGINT. The first one is a request to stop, which whoever waits carries out;
 * a SIGINT after it ends the process at once, for the person who does not want to wait.
 *
 * <p>Signals are handled and not left to a shutdown hook, because the JVM exits with 128 plus the
 * signal's number when its hooks are done, and because it takes no further signal while they run.
 */
final class StopSignal {
  private static final Logger log = LoggerFactory.getLogger(StopSignal.class);
  private static final int SIGINT_EXIT_CODE = 130;

  private final CompletableFuture<String> received = new CompletableFuture<>();
  private final AtomicBoolean first = new AtomicBoolean(true);

  private StopSignal() {}

  /** Takes the process's signals over, for good. */
  static StopSignal install() {
    StopSignal signal = new StopSignal();
    for (String name : List.of("TERM", "INT")) {
      signal.handle(name);
    }
    return signal;
  }

  /** A signal that only {@link #raise} brings. */
  static StopSignal manual() {
    return new StopSignal();
  }

  /** Completes with the name of the first signal. */
  CompletableFuture<String> received() {
    return received;
  }

  /** What a signal of that name does. */
  void raise(String name) {
    if (first.compareAndSet(true, false)) {
      received.complete(name);
    } else if (name.equals("INT")) {
      Runtime.getRuntime().halt(SIGINT_EXIT_CODE);
    }
  }

  /**
   * Calls {@code sun.misc.Signal.handle} by reflection: it is supported (module jdk.unsupported),
   * but the compiler warns of it in a way that cannot be suppressed.
   */
  private void handle(String name) {
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object proxy =
          Proxy.newProxyInstance(
              handler.getClassLoader(),
              new Class<?>[] {handler},
              (self, method, arguments) ->
                  switch (method.getName()) {
                    case "handle" -> {
                      raise(name);
                      yield null;
                    }
                    case "hashCode" -> System.identityHashCode(self);
                    case "equals" -> false;
                    default -> "handler of SIG" + name;
                  });
      signal
          .getMethod("handle", signal, handler)
          .invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
    } catch (ClassNotFoundException
        | NoSuchMethodException
        | IllegalAccessException
        | InstantiationException
        | InvocationTargetException e) {
      // As with -Xrs, or another JVM: the process then ends at the signal, without a graceful stop.
      log.warn("SIG{} cannot be handled, so it ends the process at once: {}", name, e.toString());
    }
  }
}
