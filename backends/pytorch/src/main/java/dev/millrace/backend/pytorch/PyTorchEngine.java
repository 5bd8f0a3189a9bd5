package dev.millrace.backend.pytorch;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.pytorch.engine.PtEngine;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** PyTorch in this process: loaded with the first model, there for the rest of its life. */
final class PyTorchEngine {
  private static final Logger LOG = LoggerFactory.getLogger(PyTorchEngine.class);

  /** What DJL reads when it is loaded: no download, no report of its use. */
  private static final Map<String, String> PROPERTIES =
      Map.of("ai.djl.offline", "true", "OPT_OUT_TRACKING", "true");

  /**
   * Keeps DJL's look for CUDA, by way of JNA, from unpacking a library: there may be no place for
   * one, and the driver tells how many GPUs there are. Others in this process may use JNA, too.
   */
  private static final String NO_UNPACKING = "jna.nounpack";

  /** Threads that parallel branches of scripts run on, all models together. */
  private static final String INTER_OP_THREADS = "ai.djl.pytorch.num_interop_threads";

  /** Whether this is a build for GPUs. */
  private static final boolean FOR_GPUS = PyTorchNatives.areForGpus();

  private static final Engine ENGINE = load();
  private static final PtNDManager MANAGER = (PtNDManager) ENGINE.newBaseManager(Device.cpu());
  private static final AtomicInteger OPEN_SCOPES = new AtomicInteger();

  /** How the engine was last told to run on a thread; it remembers for each thread. */
  private record RunMode(int threads, boolean optimized) {}

  private static final ThreadLocal<RunMode> MODE = new ThreadLocal<>();

  private PyTorchEngine() {}

  private static Engine load() {
    PROPERTIES.forEach(PyTorchEngine::setIfAbsent);
    setIfAbsent(INTER_OP_THREADS, Integer.toString(Runtime.getRuntime().availableProcessors()));
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    boolean unpacks = System.getProperty(NO_UNPACKING) == null;
    setIfAbsent(NO_UNPACKING, "true");
    try (PyTorchNatives natives = PyTorchNatives.find()) {
      System.setProperty(
          PyTorchNatives.DIRECTORY_PROPERTY, natives.directory().toAbsolutePath().toString());
      // DJL looks for its parts with the thread's class loader, and they are in this plug-in's.
      thread.setContextClassLoader(PyTorchEngine.class.getClassLoader());
      Engine engine = Engine.getEngine(PtEngine.ENGINE_NAME);
      LOG.debug("PyTorch {} from {}", engine.getVersion(), natives.directory());
      return engine;
    } finally {
      thread.setContextClassLoader(before);
      if (unpacks) {
        System.clearProperty(NO_UNPACKING);
      }
    }
  }

  private static void setIfAbsent(String key, String value) {
    if (System.getProperty(key) == null) {
      System.setProperty(key, value);
    }
  }

  /** The engine's version, as in {@code 2.7.1}. */
  static String version() {
    return ENGINE.getVersion();
  }

  /** Whether tensors may be on GPUs. */
  static boolean isForGpus() {
    return FOR_GPUS;
  }

  /** Owns what lives as long as the engine. */
  static PtNDManager manager() {
    return MANAGER;
  }

  /**
   * Readies the calling thread for a run.
   *
   * @param threads how many threads one operator may use, the caller's included
   * @param optimized whether scripts are rewritten for the shapes that they are run with
   */
  static void prepareThread(int threads, boolean optimized) {
    RunMode mode = MODE.get();
    if (mode == null || mode.threads != threads || mode.optimized != optimized) {
      JniUtils.setNumThreads(threads);
      JniUtils.setGraphExecutorOptimize(optimized);
      MODE.set(new RunMode(threads, optimized));
    }
  }

  /** A new scope on the processor, which the caller closes. */
  static Scope newScope() {
    return newScope(Device.cpu());
  }

  /** A new scope on a device, which the caller closes. */
  static Scope newScope(Device device) {
    return new Scope(device);
  }

  /** How many scopes are open: models, and outputs that are not closed yet. */
  static int openScopes() {
    return OPEN_SCOPES.get();
  }

  /** Owns arrays of the engine, all of which go when it is closed. */
  static final class Scope implements AutoCloseable {
    private final PtNDManager manager;

    private Scope(Device device) {
      manager = MANAGER.newSubManager(device);
      OPEN_SCOPES.incrementAndGet();
    }

    PtNDManager manager() {
      return manager;
    }

    /** Frees the arrays. Called once. */
    @Override
    public void close() {
      OPEN_SCOPES.decrementAndGet();
      manager.close();
    }
  }
}
