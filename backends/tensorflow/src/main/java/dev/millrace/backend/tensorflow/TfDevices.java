package dev.millrace.backend.tensorflow;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GPUOptions;

/** What this build of TensorFlow can compute on here. */
final class TfDevices {
  private TfDevices() {}

  /**
   * The types of the devices, one for each, as in {@code CPU} and {@code GPU}.
   *
   * @throws TfException if the engine cannot tell
   */
  static List<String> types() {
    byte[] config =
        ConfigProto.newBuilder()
            .setGpuOptions(GPUOptions.newBuilder().setAllowGrowth(true))
            .build()
            .toByteArray();
    long graph = TfApi.call(TfApi.NEW_GRAPH);
    long options = TfApi.call(TfApi.NEW_SESSION_OPTIONS);
    try (Arena arena = Arena.ofConfined();
        TfStatus status = new TfStatus()) {
      MemorySegment bytes = arena.allocateFrom(JAVA_BYTE, config);
      TfApi.call(TfApi.SET_CONFIG, options, bytes.address(), config.length, status.handle());
      status.check();
      long session = TfApi.call(TfApi.NEW_SESSION, graph, options, status.handle());
      status.check();
      try {
        return types(session, status);
      } finally {
        TfApi.call(TfApi.DELETE_SESSION, session, status.handle());
      }
    } finally {
      TfApi.call(TfApi.DELETE_SESSION_OPTIONS, options);
      TfApi.call(TfApi.DELETE_GRAPH, graph);
    }
  }

  private static List<String> types(long session, TfStatus status) {
    long devices = TfApi.call(TfApi.SESSION_LIST_DEVICES, session, status.handle());
    status.check();
    try {
      List<String> types = new ArrayList<>();
      int count = (int) TfApi.call(TfApi.DEVICE_LIST_COUNT, devices);
      for (int i = 0; i < count; i++) {
        types.add(TfMemory.text(TfApi.call(TfApi.DEVICE_LIST_TYPE, devices, i, status.handle())));
        status.check();
      }
      return types;
    } finally {
      TfApi.call(TfApi.DELETE_DEVICE_LIST, devices);
    }
  }
}
