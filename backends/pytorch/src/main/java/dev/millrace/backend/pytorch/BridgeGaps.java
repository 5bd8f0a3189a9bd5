package dev.millrace.backend.pytorch;

import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValue;
import ai.djl.pytorch.jni.IValueUtils;
import ai.djl.pytorch.jni.JniUtils;
import dev.millrace.api.DataType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Optional;

/**
 * Fills the gaps of DJL's bridge, which has no word for BF16 and INT16, by a script of ours: {@code
 * number} says what PyTorch's number of a tensor's datatype is, {@code bf16} and {@code int16}
 * convert to these. Thread-safe.
 */
final class BridgeGaps {
  private static final String RESOURCE = "datatypes.pt";

  /** Numbers of PyTorch's enum ScalarType. */
  private static final int INT16 = 2;

  private static final int BF16 = 15;

  private static final PtSymbolBlock SCRIPT = load();

  private BridgeGaps() {}

  private static PtSymbolBlock load() {
    try (InputStream in = BridgeGaps.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        throw new IllegalStateException("the backend's jar lacks " + RESOURCE);
      }
      return JniUtils.loadModule(PyTorchEngine.manager(), in, false, false);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What a method of the script makes of a value, which stays the caller's. */
  static IValue convert(String method, IValue value) {
    return IValueUtils.runMethod(SCRIPT, method, value);
  }

  /** The datatype of a tensor if it is one that the bridge lacks. */
  static Optional<DataType> dataType(IValue value) {
    try (IValue number = IValueUtils.runMethod(SCRIPT, "number", value)) {
      return switch ((int) number.toLong()) {
        case INT16 -> Optional.of(DataType.INT16);
        case BF16 -> Optional.of(DataType.BF16);
        default -> Optional.empty();
      };
    }
  }
}
