package dev.millrace.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.millrace.batcher.policy.LatencySample;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps what calibration found out, so that it is found out once for each model, set of options and
 * kind of machine: a small properties file each, named by {@link CalibrationKey}.
 *
 * <p>It never fails anything: what cannot be read is not there, what cannot be written is not kept.
 * Several processes may share the directory, because a file appears whole or not at all.
 * Thread-safe.
 */
final class CalibrationCache {
  private static final Logger LOG = LoggerFactory.getLogger(CalibrationCache.class);

  /** Of the format, and of what was measured how: older files do not count. */
  private static final String VERSION = "3";

  private static final long MAX_BYTES = 1 << 16;

  private final Optional<Path> directory;

  /** A cache in that directory, which is made when it is needed; empty to keep nothing. */
  CalibrationCache(Optional<Path> directory) {
    this.directory = directory;
  }

  /**
   * What was found out.
   *
   * @param model what the engine said of the model, which changes with the engine
   * @param merge whether its requests may share a batch
   * @param batching why, for people; "" if that was not asked
   */
  record Entry(
      String model,
      int instances,
      int threads,
      boolean merge,
      String batching,
      List<LatencySample> samples) {
    Entry {
      samples = List.copyOf(samples);
    }
  }

  /** Whether anything is kept at all. */
  boolean isOn() {
    return directory.isPresent();
  }

  /** What is known under that key. */
  Optional<Entry> find(String key) {
    Optional<Path> file = directory.map(path -> file(path, key)).filter(Files::isRegularFile);
    if (file.isEmpty()) {
      return Optional.empty();
    }
    try {
      if (Files.size(file.get()) > MAX_BYTES) {
        throw new IllegalArgumentException("too long");
      }
      Properties properties = new Properties();
      try (Reader reader = Files.newBufferedReader(file.get(), UTF_8)) {
        properties.load(reader);
      }
      return VERSION.equals(properties.getProperty("version"))
          ? Optional.of(entry(properties))
          : Optional.empty();
    } catch (IOException | UncheckedIOException | IllegalArgumentException e) {
      LOG.warn("{} is left out, and measured again: {}", file.get(), e.toString());
      return Optional.empty();
    }
  }

  /** Keeps an entry, in place of one with the same key. */
  void put(String key, Entry entry) {
    if (directory.isEmpty()) {
      return;
    }
    Properties properties = new Properties();
    properties.setProperty("version", VERSION);
    properties.setProperty("model", entry.model);
    properties.setProperty("instances", String.valueOf(entry.instances));
    properties.setProperty("threads", String.valueOf(entry.threads));
    properties.setProperty("merge", String.valueOf(entry.merge));
    properties.setProperty("batching", entry.batching);
    properties.setProperty(
        "samples",
        entry.samples.stream()
            .map(sample -> sample.rowElements() + ":" + sample.rows() + ":" + sample.nanos())
            .collect(Collectors.joining(" ")));
    try {
      Files.createDirectories(directory.get());
      Path whole = Files.createTempFile(directory.get(), key, ".tmp");
      try {
        try (Writer writer = Files.newBufferedWriter(whole, UTF_8)) {
          properties.store(writer, "What Millrace measured; safe to delete.");
        }
        Files.move(
            whole,
            file(directory.get(), key),
            StandardCopyOption.ATOMIC_MOVE,
            StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(whole);
      }
    } catch (IOException e) {
      LOG.debug("the calibration is not kept in {}", directory.get(), e);
    }
  }

  private static Path file(Path directory, String key) {
    return directory.resolve(key + ".properties");
  }

  private static Entry entry(Properties properties) {
    List<LatencySample> samples = new ArrayList<>();
    for (String sample : text(properties, "samples").split(" ", -1)) {
      String[] parts = sample.split(":", -1);
      if (parts.length != 3) {
        throw new IllegalArgumentException("not a sample: '" + sample + "'");
      }
      samples.add(
          new LatencySample(
              Long.parseLong(parts[0]), Integer.parseInt(parts[1]), Long.parseLong(parts[2])));
    }
    return new Entry(
        text(properties, "model"),
        count(properties, "instances"),
        count(properties, "threads"),
        switch (text(properties, "merge")) {
          case "true" -> true;
          case "false" -> false;
          default -> throw new IllegalArgumentException("merge is neither true nor false");
        },
        text(properties, "batching"),
        samples);
  }

  private static int count(Properties properties, String key) {
    int count = Integer.parseInt(text(properties, key));
    if (count < 1 || count > 1024) {
      throw new IllegalArgumentException(key + " is not from 1 to 1024: " + count);
    }
    return count;
  }

  private static String text(Properties properties, String key) {
    String value = properties.getProperty(key);
    if (value == null) {
      throw new IllegalArgumentException(key + " is missing");
    }
    return value;
  }
}
