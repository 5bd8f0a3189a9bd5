package dev.millrace.backend.tensorflow;

import dev.millrace.api.Device;
import dev.millrace.api.spi.ModelSource;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GPUOptions;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.proto.ThreadPoolOptionProto;

/**
 * How a session is to be set up and run: a {@code ConfigProto} and a {@code RunOptions} as bytes.
 *
 * <p>A run is on the thread of its caller, who is one of as many as there are instances. If one run
 * may use more threads than that, kernels share a pool of the session of instances times threads,
 * and operators side by side another one. A run on a GPU is one on the processor, too, which for
 * two devices is on a thread of the session's for each instance.
 */
final class SessionConfig {
  /** The number of no pool: on the caller's thread. */
  private static final int CALLER = -1;

  private final ConfigProto session;
  private final RunOptions run;

  private SessionConfig(ConfigProto session, RunOptions run) {
    this.session = session;
    this.run = run;
  }

  static SessionConfig of(ModelSource source, TensorFlowSettings settings) {
    boolean onGpu = source.device().kind() == Device.Kind.GPU;
    ConfigProto.Builder config =
        ConfigProto.newBuilder()
            .setIntraOpParallelismThreads(
                source.threads() == 1 ? 1 : source.instances() * source.threads())
            .setInterOpParallelismThreads(onGpu ? source.instances() : 1)
            .setAllowSoftPlacement(true);
    if (settings.interOpThreads() > 1) {
      config.addSessionInterOpThreadPool(
          ThreadPoolOptionProto.newBuilder()
              .setNumThreads(source.instances() * settings.interOpThreads()));
    }
    if (onGpu) {
      // The engine takes these of the first session for all of them; see PlacedSavedModel.
      config.setGpuOptions(GPUOptions.newBuilder().setAllowGrowth(true));
    } else {
      config.putDeviceCount("GPU", 0);
    }
    int pool = settings.interOpThreads() > 1 ? 0 : CALLER;
    return new SessionConfig(
        config.build(), RunOptions.newBuilder().setInterOpThreadPool(pool).build());
  }

  /** A ConfigProto. */
  byte[] session() {
    return session.toByteArray();
  }

  /** A RunOptions. */
  byte[] runOptions() {
    return run.toByteArray();
  }
}
