package dev.millrace.backend.python;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Ends a worker together with the processes that its script started: they are one group. */
final class ProcessGroup {
  private static final Logger LOG = LoggerFactory.getLogger(ProcessGroup.class);
  private static final int SIGKILL = 9;

  private ProcessGroup() {}

  /** {@code int kill(pid_t, int)} of the C library. */
  @SuppressWarnings("restricted") // the launcher allows native access
  private static final class LibC {
    static final MethodHandle KILL =
        Linker.nativeLinker()
            .downcallHandle(
                Linker.nativeLinker().defaultLookup().findOrThrow("kill"),
                FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
  }

  /** Kills every process of the group that {@code leader} leads; nothing if there is none. */
  static void kill(long leader) {
    if (leader <= 1) {
      return;
    }
    try {
      int result = (int) LibC.KILL.invokeExact((int) -leader, SIGKILL);
      LOG.debug("kill(-{}) gave {}", leader, result);
    } catch (Throwable e) {
      LOG.warn("processes that a script started may be left: {}", e.toString());
    }
  }
}
