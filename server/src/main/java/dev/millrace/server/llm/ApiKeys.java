package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The keys that clients of language models must have: a file with one on each line, perhaps after a
 * name and a blank; lines that begin with {@code #} are comments. It is read again when it changes,
 * so that keys are added and taken away while the server runs. Thread-safe.
 *
 * <p>Only hashes of keys are kept, and each is compared in constant time.
 */
final class ApiKeys {
  private static final Logger LOG = LoggerFactory.getLogger(ApiKeys.class);
  private static final long INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final String BEARER = "Bearer ";

  private static final class Key {
    private final String name;
    private final byte[] hash;

    Key(String name, byte[] hash) {
      this.name = name;
      this.hash = hash;
    }
  }

  /** What was read, and when the file was changed then. */
  private record Content(List<Key> keys, FileTime time, long size) {}

  private final @Nullable Path file;
  private final AtomicLong lookedNanos = new AtomicLong(System.nanoTime());
  private volatile @Nullable Content content;

  /**
   * The keys in a file; without one, everybody may come in.
   *
   * @throws InferenceException INVALID_ARGUMENT if it cannot be read
   */
  ApiKeys(Optional<Path> file) {
    this.file = file.orElse(null);
    if (file.isPresent()) {
      try {
        content = read(file.get());
      } catch (NoSuchFileException e) {
        throw InferenceException.invalidArgument(
            "the file of API keys %s does not exist".formatted(file.get()));
      } catch (IOException e) {
        throw InferenceException.invalidArgument(
            "the file of API keys %s cannot be read: %s".formatted(file.get(), e));
      }
    }
  }

  /** Whether clients must have a key. */
  boolean areRequired() {
    return file != null;
  }

  /**
   * Whose request it is: the key's name, or what stands for a key that nobody has to know.
   *
   * @param authorization the request's header; null if it has none
   * @param apiKey the header that Anthropic's clients send instead; null if it has none
   * @return null if the client may not come in
   */
  @Nullable String owner(@Nullable String authorization, @Nullable String apiKey) {
    String key =
        authorization != null && authorization.regionMatches(true, 0, BEARER, 0, BEARER.length())
            ? authorization.substring(BEARER.length()).strip()
            : apiKey == null ? "" : apiKey.strip();
    Content current = current();
    if (current == null) {
      return key.isEmpty() ? "" : HexFormat.of().formatHex(hash(key), 0, 8);
    }
    byte[] hash = hash(key);
    String owner = null;
    for (Key each : current.keys()) { // all of them, so that time tells nothing
      if (MessageDigest.isEqual(each.hash, hash)) {
        owner = each.name;
      }
    }
    return owner;
  }

  private @Nullable Content current() {
    Path path = file;
    if (path == null) {
      return null;
    }
    long now = System.nanoTime();
    long looked = lookedNanos.get();
    if (now - looked > INTERVAL_NANOS && lookedNanos.compareAndSet(looked, now)) {
      Thread.startVirtualThread(() -> reload(path));
    }
    return content;
  }

  private void reload(Path path) {
    try {
      Content before = content;
      if (before == null
          || !Files.getLastModifiedTime(path).equals(before.time())
          || Files.size(path) != before.size()) {
        Content read = read(path);
        content = read;
        LOG.info("{} API keys in {}", read.keys().size(), path);
      }
    } catch (IOException e) { // the keys that were known stay
      LOG.warn("the file of API keys {} cannot be read: {}", path, e.toString());
    }
  }

  private static Content read(Path path) throws IOException {
    FileTime time = Files.getLastModifiedTime(path);
    List<Key> keys = new ArrayList<>();
    String text = Files.readString(path);
    for (String line : text.lines().map(String::strip).toList()) {
      if (!line.isEmpty() && !line.startsWith("#")) {
        String[] parts = line.split("\\s+", 2);
        byte[] hash = hash(parts[parts.length - 1].strip());
        keys.add(new Key(parts.length > 1 ? parts[0] : HexFormat.of().formatHex(hash, 0, 8), hash));
      }
    }
    return new Content(List.copyOf(keys), time, text.getBytes(UTF_8).length);
  }

  private static byte[] hash(String key) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(key.getBytes(UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new InferenceException(ErrorCode.INTERNAL, "this Java has no SHA-256", e);
    }
  }
}
