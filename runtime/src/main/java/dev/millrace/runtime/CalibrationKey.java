package dev.millrace.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.Device;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Names what a calibration holds for: the SHA-256 of the model's files, of the options that bear on
 * it, of the engine and its settings, and of the devices, the number of processors and their kind.
 *
 * <p>Files of more than a gigabyte together count by name, size and time of change, because to read
 * them would take longer than to measure.
 */
final class CalibrationKey {
  private static final long MAX_READ_BYTES = 1L << 30;
  private static final int CHUNK = 1 << 20;

  private CalibrationKey() {}

  /**
   * The key, in hexadecimal digits.
   *
   * @throws IOException if a file of the model cannot be read
   */
  static String of(LoadPlan plan, List<Placement> placements, int processors) throws IOException {
    MessageDigest digest = sha256();
    ModelOptions options = plan.options();
    add(digest, plan.backend().name());
    add(digest, plan.engine().toString());
    add(digest, placements.toString());
    if (placements.stream().anyMatch(each -> each.device().kind() == Device.Kind.GPU)) {
      add(digest, GpuHost.kinds());
    }
    add(digest, "processors " + processors);
    add(digest, processorKind());
    add(digest, "counted " + options.isCounted());
    add(digest, "threads " + options.threads());
    add(digest, "max-batch-size " + options.maxBatchSize());
    add(digest, "batch-sizes " + options.batching().batchSizes());
    add(digest, "preferred sizes " + options.batching().preferredSizes());
    add(digest, "batching " + options.batching().mode());
    ModelFiles files = ModelFiles.of(plan.path());
    boolean read = files.byteSize() <= MAX_READ_BYTES;
    for (Path file : files.files()) {
      add(digest, plan.path().relativize(file).toString());
      if (read) {
        addContent(digest, file);
      } else {
        add(digest, Files.size(file) + " " + Files.getLastModifiedTime(file).toMillis());
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** A text, with its length so that two never read as another two. */
  private static void add(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(UTF_8);
    digest.update(ByteBuffer.allocate(4).putInt(bytes.length).flip());
    digest.update(bytes);
  }

  private static void addContent(MessageDigest digest, Path file) throws IOException {
    byte[] chunk = new byte[CHUNK];
    long size = 0;
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = in.read(chunk); read >= 0; read = in.read(chunk)) {
        digest.update(chunk, 0, read);
        size += read;
      }
    }
    digest.update(ByteBuffer.allocate(8).putLong(size).flip());
  }

  /** What the processor calls itself, as far as the system tells. */
  private static String processorKind() {
    String architecture = System.getProperty("os.arch", "");
    try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      Optional<String> name =
          lines
              .filter(line -> line.startsWith("model name") || line.startsWith("CPU part"))
              .findFirst();
      return architecture + name.map(line -> " " + line).orElse("");
    } catch (IOException | UncheckedIOException e) {
      return architecture;
    }
  }
}
