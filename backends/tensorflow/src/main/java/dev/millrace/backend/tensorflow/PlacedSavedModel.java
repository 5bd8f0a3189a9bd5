package dev.millrace.backend.tensorflow;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A SavedModel whose operators are to run on one GPU: a copy of its graph that names the GPU at
 * each of them, in a temporary directory with links to everything else. To be closed when the
 * engine has loaded it.
 *
 * <p>That is how a process has models on several GPUs: the engine takes {@code visible_device_list}
 * from the first session for all of them, and puts what names no device onto the first GPU. What
 * names a processor stays there, and so does, by soft placement, what a GPU has no kernel for. The
 * graph, which may hold all weights, is mapped and never on the heap.
 */
final class PlacedSavedModel implements AutoCloseable {
  /**
   * Messages that have nodes in them, or are one ({@code saved_model.proto} and what it imports).
   */
  private enum Level {
    SAVED_MODEL,
    META_GRAPH,
    GRAPH,
    LIBRARY,
    FUNCTION,
    NODE;

    /** What a field of such a message is; null for what is copied as it is. */
    @Nullable Level field(int number) {
      return switch (this) {
        case SAVED_MODEL -> number == 2 ? META_GRAPH : null;
        case META_GRAPH -> number == 2 ? GRAPH : null;
        case GRAPH -> number == 1 ? NODE : number == 2 ? LIBRARY : null;
        case LIBRARY -> number == 1 ? FUNCTION : null;
        case FUNCTION -> number == 3 ? NODE : null;
        case NODE -> null;
      };
    }
  }

  /** NodeDef.device. */
  private static final int DEVICE = 4;

  private final Path directory;

  private PlacedSavedModel(Path directory) {
    this.directory = directory;
  }

  /**
   * Writes the copy.
   *
   * @param model the directory of a SavedModel
   * @throws InferenceException FAILED_PRECONDITION if it cannot be written
   */
  static PlacedSavedModel of(Path model, int gpu) {
    try {
      PlacedSavedModel placed =
          new PlacedSavedModel(Files.createTempDirectory("millrace-tensorflow"));
      try {
        placed.write(model, "/device:GPU:" + gpu);
        return placed;
      } catch (IOException | RuntimeException e) {
        placed.close();
        throw e;
      }
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FAILED_PRECONDITION,
          "%s: its graph cannot be copied to %s for gpu:%d (%s)"
              .formatted(model, System.getProperty("java.io.tmpdir"), gpu, e),
          e);
    }
  }

  /** Where the copy is, until this is closed. */
  Path directory() {
    return directory;
  }

  private void write(Path model, String device) throws IOException {
    try (Stream<Path> files = Files.list(model)) {
      for (Path file : files.toList()) {
        Path copy = directory.resolve(file.getFileName().toString());
        if (file.endsWith(SavedModelDirectory.FILE_NAME)) {
          place(file, device, copy);
        } else {
          Files.createSymbolicLink(copy, file.toAbsolutePath());
        }
      }
    }
  }

  private static void place(Path graph, String device, Path copy) throws IOException {
    try (FileChannel in = FileChannel.open(graph);
        OutputStream file = Files.newOutputStream(copy)) {
      CodedOutputStream out = CodedOutputStream.newInstance(file, 1 << 16);
      place(in.map(MapMode.READ_ONLY, 0, in.size()), device, out);
      out.flush();
    }
  }

  /** Writes a {@code SavedModel} with that device at its nodes. */
  static void place(ByteBuffer savedModel, String device, CodedOutputStream out)
      throws IOException {
    write(savedModel, Level.SAVED_MODEL, device, out);
  }

  /** How long the message is when it is written by {@link #write}. */
  private static int size(ByteBuffer message, Level level, String device) throws IOException {
    CodedInputStream in = CodedInputStream.newInstance(message);
    int size = level == Level.NODE ? CodedOutputStream.computeStringSize(DEVICE, device) : 0;
    String own = "";
    while (!in.isAtEnd()) {
      int start = in.getTotalBytesRead();
      int tag = in.readTag();
      int number = WireFormat.getTagFieldNumber(tag);
      Level inner = level.field(number);
      if (inner != null) {
        int inside = size(contents(in, message), inner, device);
        size += CodedOutputStream.computeTagSize(number);
        size += CodedOutputStream.computeUInt32SizeNoTag(inside) + inside;
      } else if (level == Level.NODE && number == DEVICE) {
        own = in.readString();
      } else {
        in.skipField(tag);
        size += in.getTotalBytesRead() - start;
      }
    }
    return isKept(own)
        ? size
            - CodedOutputStream.computeStringSize(DEVICE, device)
            + CodedOutputStream.computeStringSize(DEVICE, own)
        : size;
  }

  private static void write(ByteBuffer message, Level level, String device, CodedOutputStream out)
      throws IOException {
    CodedInputStream in = CodedInputStream.newInstance(message);
    String own = "";
    while (!in.isAtEnd()) {
      int start = in.getTotalBytesRead();
      int tag = in.readTag();
      int number = WireFormat.getTagFieldNumber(tag);
      Level inner = level.field(number);
      if (inner != null) {
        ByteBuffer contents = contents(in, message);
        out.writeTag(number, WireFormat.WIRETYPE_LENGTH_DELIMITED);
        out.writeUInt32NoTag(size(contents, inner, device));
        write(contents, inner, device, out);
      } else if (level == Level.NODE && number == DEVICE) {
        own = in.readString();
      } else {
        in.skipField(tag);
        out.writeRawBytes(message.slice(start, in.getTotalBytesRead() - start));
      }
    }
    if (level == Level.NODE) {
      out.writeString(DEVICE, isKept(own) ? own : device);
    }
  }

  /** The message that begins where {@code in} is, which is then behind it. */
  private static ByteBuffer contents(CodedInputStream in, ByteBuffer message) throws IOException {
    int length = in.readRawVarint32();
    ByteBuffer contents = message.slice(in.getTotalBytesRead(), length);
    in.skipRawBytes(length);
    return contents;
  }

  /** Whether a node stays on the device that it names, as in {@code /device:CPU:0}. */
  private static boolean isKept(String device) {
    return !device.isEmpty() && !device.contains("GPU") && !device.contains("gpu");
  }

  /** Removes the copy; what it links to stays. */
  @Override
  public void close() {
    try {
      List<Path> files;
      try (Stream<Path> listed = Files.list(directory)) {
        files = listed.toList();
      }
      for (Path file : files) {
        Files.delete(file);
      }
      Files.delete(directory);
    } catch (IOException e) {
      throw new UncheckedIOException("%s cannot be removed".formatted(directory), e);
    }
  }
}
