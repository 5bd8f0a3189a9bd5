package dev.millrace.backend.pytorch;

import dev.millrace.api.DataType;
import dev.millrace.testing.BackendContract;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

class PyTorchContractTest extends BackendContract {
  PyTorchContractTest() {
    super(new PyTorchBackend(), PyTorchTensors.DATA_TYPES);
  }

  @Override
  protected String inputName() {
    return "x";
  }

  /** A script takes any type and rank. */
  @Override
  protected Path writeIdentity(Path empty, DataType type, int rank) throws IOException {
    Files.copy(PyTorchFixture.file("identity.pt"), empty.resolve("model.pt"));
    return empty;
  }

  @Override
  protected Path writeGarbage(Path empty) throws IOException {
    Files.writeString(empty.resolve("model.pt"), "no model at all");
    return empty;
  }

  /** The engine has one NaN of BF16 only. */
  @Override
  protected byte[] representable(DataType type, byte[] bits) {
    if (type == DataType.BF16) {
      for (int i = 1; i < bits.length; i += 2) {
        bits[i] = (bits[i] & 0x7F) == 0x7F ? 0x3F : bits[i];
      }
    }
    return bits;
  }
}
