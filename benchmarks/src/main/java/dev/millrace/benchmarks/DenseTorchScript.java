package dev.millrace.benchmarks;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * {@link DenseLayers} as {@code torch.jit.save} writes a script: an archive of its text, the
 * module's attributes as a pickle, and the numbers of each tensor. Instructions of pickles are
 * those of Python's {@code pickletools}.
 */
final class DenseTorchScript {
  private DenseTorchScript() {}

  /** The file; always the same. */
  static byte[] file() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream archive = new ZipOutputStream(bytes)) {
      add(archive, "data.pkl", attributes());
      add(archive, "code/__torch__.py", script().getBytes(UTF_8));
      for (int i = 0; i < DenseLayers.ALL.size(); i++) {
        add(archive, "data/" + i, DenseLayers.ALL.get(i).bytes());
      }
      add(archive, "constants.pkl", new Pickle().instructions(")").end());
      add(archive, "version", "3\n".getBytes(UTF_8));
      add(archive, "byteorder", "little".getBytes(UTF_8));
    }
    return bytes.toByteArray();
  }

  /** Not compressed, as the engine wants it. */
  private static void add(ZipOutputStream archive, String name, byte[] content) throws IOException {
    ZipEntry entry = new ZipEntry("dense/" + name);
    CRC32 sum = new CRC32();
    sum.update(content);
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(content.length);
    entry.setCrc(sum.getValue());
    entry.setTime(0);
    archive.putNextEntry(entry);
    archive.write(content);
    archive.closeEntry();
  }

  private static String script() {
    StringBuilder script = new StringBuilder("class Dense(Module):\n  __parameters__ = [");
    DenseLayers.ALL.forEach(weights -> script.append('"').append(weights.name()).append("\", "));
    script.append("]\n  __buffers__ = []\n");
    DenseLayers.ALL.forEach(
        weights -> script.append("  ").append(weights.name()).append(" : Tensor\n"));
    script
        .append("  training : bool\n  def forward(self: __torch__.Dense,\n    ")
        .append(DenseLayers.INPUT)
        .append(": Tensor) -> Tensor:\n");
    DenseLayers.ALL.forEach(
        weights -> script.append("    %1$s = self.%1$s\n".formatted(weights.name())));
    script
        .append("    value = torch.reshape(%s, [-1, 1])\n".formatted(DenseLayers.INPUT))
        .append("    layer0 = torch.relu(torch.matmul(value, first))\n");
    for (int i = 1; i <= DenseLayers.REPEATS; i++) {
      script.append(
          "    layer%d = torch.relu(torch.matmul(layer%d, middle))\n".formatted(i, i - 1));
    }
    return script
        .append("    sums = torch.matmul(layer%d, last)\n".formatted(DenseLayers.REPEATS))
        .append("    return torch.reshape(sums, [-1, %d])\n".formatted(DenseLayers.NUMBERS))
        .toString();
  }

  private static byte[] attributes() {
    Pickle pickle = new Pickle().global("__torch__", "Dense").instructions(")\u0081}(");
    for (int i = 0; i < DenseLayers.ALL.size(); i++) {
      DenseLayers.Weights weights = DenseLayers.ALL.get(i);
      pickle
          .text(weights.name())
          .global("torch._utils", "_rebuild_tensor_v2")
          .instructions("((")
          .text("storage")
          .global("torch", "FloatStorage")
          .text(Integer.toString(i))
          .text("cpu")
          .number(weights.rows() * weights.columns())
          .instructions("tQ") // the persistent id of the numbers
          .number(0)
          .instructions("(")
          .number(weights.rows())
          .number(weights.columns())
          .instructions("t(") // strides
          .number(weights.columns())
          .number(1)
          .instructions("t\u0089") // needs no gradient
          .global("collections", "OrderedDict")
          .instructions(")RtR");
    }
    return pickle.text("training").instructions("\u0089ub").end();
  }

  private static final class Pickle {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Pickle() {
      instructions("\u0080\u0002");
    }

    /** Instructions of one byte each. */
    Pickle instructions(String codes) {
      codes.chars().forEach(out::write);
      return this;
    }

    Pickle global(String module, String name) {
      out.writeBytes(("c" + module + "\n" + name + "\n").getBytes(UTF_8));
      return this;
    }

    Pickle text(String text) {
      byte[] bytes = text.getBytes(UTF_8);
      out.write('X');
      littleEndian(bytes.length);
      out.writeBytes(bytes);
      return this;
    }

    Pickle number(int value) {
      out.write('J');
      littleEndian(value);
      return this;
    }

    private void littleEndian(int value) {
      out.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
    }

    byte[] end() {
      out.write('.');
      return out.toByteArray();
    }
  }
}
