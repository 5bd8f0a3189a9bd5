package dev.millrace.backend.onnx;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/** Hands the engine's log lines to the log of the process. Called by any thread of the engine. */
final class OrtLog {
  private static final Logger LOG = LoggerFactory.getLogger("onnxruntime");

  /** Warnings and worse: the severity ORT_LOGGING_LEVEL_WARNING. */
  static final int WARNING = 2;

  /** Only what ends the process: the severity ORT_LOGGING_LEVEL_FATAL. */
  static final int FATAL = 4;

  private OrtLog() {}

  /** The address of an OrtLoggingFunction; valid as long as the process. */
  @SuppressWarnings("restricted") // native code calls it, which is what a backend is for
  static long function() {
    try {
      MethodType type =
          MethodType.methodType(
              void.class, long.class, int.class, long.class, long.class, long.class, long.class);
      return Linker.nativeLinker()
          .upcallStub(
              MethodHandles.lookup().findStatic(OrtLog.class, "log", type),
              FunctionDescriptor.ofVoid(
                  JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
              Arena.global())
          .address();
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }

  /** An exception that left this method would end the process, so none does. */
  @SuppressWarnings({"unused", "EffectivelyPrivate"}) // called by the engine
  private static void log(
      long parameter, int severity, long category, long id, long place, long message) {
    try {
      log(severity, OrtMemory.text(id), OrtMemory.text(message));
    } catch (Throwable e) {
      System.err.println("a log line of ONNX Runtime was lost: " + e);
    }
  }

  private static void log(int severity, String id, String message) {
    Level level = severity > WARNING ? Level.ERROR : Level.WARN;
    LOG.atLevel(level).log("{}: {}", id, OnnxErrors.cleaned(message));
  }
}
