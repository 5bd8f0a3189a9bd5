package dev.millrace.server.memory;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * A region with its memory object open.
 *
 * <p>The object is read and written by calls, not mapped: a client can cut it short at any time,
 * and then a mapping would end the process at the next access. A tensor is copied once either way,
 * because a client could also change it after it was checked. Thread-safe.
 */
final class OpenRegion implements AutoCloseable {
  private static final int LONGEST_KEY = 255;

  private final SharedRegion region;
  private final FileChannel object;

  private OpenRegion(SharedRegion region, FileChannel object) {
    this.region = region;
    this.object = object;
  }

  SharedRegion region() {
    return region;
  }

  /**
   * Opens the memory object of a region.
   *
   * @param directory where the objects are
   * @throws InferenceException INVALID_ARGUMENT if it is not there, or shorter than the region
   */
  static OpenRegion open(Path directory, SharedRegion region) {
    Path file = directory.resolve(fileName(region));
    if (region.offset() < 0 || region.byteSize() < 0) {
      throw refused(region, "offset and byte_size must not be negative");
    }
    try {
      if (!Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
          .isRegularFile()) {
        throw refused(region, "it is no memory object");
      }
      FileChannel object =
          FileChannel.open(
              file, StandardOpenOption.READ, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
      long size = object.size();
      // Either alone may be close to the largest long.
      if (region.offset() > size || region.byteSize() > size - region.offset()) {
        object.close();
        throw refused(
            region,
            "it has %d bytes, offset %d and byte_size %d go beyond"
                .formatted(size, region.offset(), region.byteSize()));
      }
      return new OpenRegion(region, object);
    } catch (IOException e) {
      throw refused(region, "it cannot be opened: " + e.getClass().getSimpleName());
    }
  }

  /** One name below the directory, whatever the client says. */
  private static String fileName(SharedRegion region) {
    String key = region.key();
    String name = key.startsWith("/") ? key.substring(1) : key;
    if (name.isEmpty()
        || name.length() > LONGEST_KEY
        || name.equals(".")
        || name.equals("..")
        || name.indexOf('/') >= 0
        || name.chars().anyMatch(Character::isISOControl)) {
      throw refused(region, "a key is one name, with or without a slash before it");
    }
    return name;
  }

  private static InferenceException refused(SharedRegion region, String why) {
    return InferenceException.invalidArgument(
        "failed to register shared memory region '%s': Unable to open shared memory region with key '%s': %s"
            .formatted(region.name(), region.key(), why));
  }

  /**
   * Fills what is left of {@code bytes}.
   *
   * @param offset in the region
   * @throws InferenceException INVALID_ARGUMENT if the object has become too short or was
   *     unregistered
   */
  void read(long offset, ByteBuffer bytes) {
    long at = region.offset() + offset;
    try {
      while (bytes.hasRemaining()) {
        int read = object.read(bytes, at);
        if (read < 0) {
          throw gone("it is shorter than it was when it was registered");
        }
        at += read;
      }
    } catch (IOException e) {
      throw gone(e.getClass().getSimpleName());
    }
  }

  /**
   * Writes what is left of {@code bytes}.
   *
   * @param offset in the region
   * @throws InferenceException as {@link #read}
   */
  void write(long offset, ByteBuffer bytes) {
    long at = region.offset() + offset;
    try {
      // Writing beyond its end would make the object longer.
      if (object.size() - bytes.remaining() < at) {
        throw gone("it is shorter than it was when it was registered");
      }
      while (bytes.hasRemaining()) {
        at += object.write(bytes, at);
      }
    } catch (IOException e) {
      throw gone(e.getClass().getSimpleName());
    }
  }

  private InferenceException gone(String why) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT,
        "shared memory region '%s' cannot be used: %s".formatted(region.name(), why));
  }

  @Override
  public void close() {
    try {
      object.close();
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "region '%s' cannot be closed".formatted(region.name()), e);
    }
  }
}
