package dev.millrace.logger;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.api.InferenceException;
import dev.millrace.logger.Outbox.Entry;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class SpoolTest {
  @TempDir private Path directory;
  private final Records.Counts counts = new Records.Counts();

  private Spool open(long capacity) {
    return new Spool(directory.resolve("spool"), capacity, Spool.Sync.ALWAYS, counts);
  }

  private Spool open() {
    return open(1 << 20);
  }

  private static LogMessage message(String text) {
    return new LogMessage(
        "m",
        "topic",
        1,
        "key".getBytes(UTF_8),
        List.of(LogMessage.Header.of("h", "ü")),
        text.getBytes(UTF_8));
  }

  private static void put(Spool spool, int from, int to) {
    for (int i = from; i < to; i++) {
      assertThat(spool.put(message("message " + i), false)).isTrue();
    }
    spool.flush();
  }

  private static List<Entry> take(Spool spool) throws InterruptedException {
    List<Entry> entries = new ArrayList<>();
    for (List<Entry> taken = spool.take(Duration.ZERO);
        !taken.isEmpty();
        taken = spool.take(Duration.ZERO)) {
      entries.addAll(taken);
    }
    return entries;
  }

  private static List<String> texts(List<Entry> entries) {
    return Records.texts(entries.stream().map(Entry::message).toList());
  }

  private static List<String> expected(int from, int to) {
    return IntStream.range(from, to).mapToObj(i -> "message " + i).toList();
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(directory.resolve("spool"))) {
      return files.filter(file -> file.toString().endsWith(".spool")).sorted().toList();
    }
  }

  @Test
  void messages_comeBackAsTheyWere_inOrder() throws Exception {
    try (Spool spool = open()) {
      put(spool, 0, 100);
      List<Entry> entries = take(spool);
      assertThat(texts(entries)).isEqualTo(expected(0, 100));
      LogMessage first = entries.getFirst().message();
      assertThat(first.key()).isEqualTo("key".getBytes(UTF_8));
      assertThat(first.header("h")).isEqualTo("ü");
      assertThat(first.topic()).isEqualTo("topic");
      put(spool, 100, 200);
      assertThat(texts(take(spool))).isEqualTo(expected(100, 200));
    }
  }

  @Test
  void unremoved_isThereAfterAReopening_removedIsNot() throws Exception {
    try (Spool spool = open()) {
      put(spool, 0, 10);
      spool.removeThrough(take(spool).get(3));
      assertThat(spool.byteSize()).isPositive();
    }
    try (Spool spool = open()) {
      put(spool, 10, 12);
      List<Entry> entries = take(spool);
      assertThat(texts(entries)).isEqualTo(expected(4, 12));
      spool.removeThrough(entries.getLast());
      assertThat(spool.byteSize()).isZero();
    }
    assertThat(files()).isEmpty();
    try (Spool spool = open()) {
      assertThat(take(spool)).isEmpty();
      put(spool, 0, 1);
      assertThat(texts(take(spool))).isEqualTo(expected(0, 1));
    }
  }

  @Test
  void files_areDeletedWhenAllInThemIsRemoved() throws Exception {
    try (Spool spool = open(64 << 10)) { // files of 8 KB
      put(spool, 0, 500);
      assertThat(files()).hasSizeGreaterThan(3);
      List<Entry> entries = take(spool);
      assertThat(texts(entries)).isEqualTo(expected(0, 500));
      spool.removeThrough(entries.getLast());
      Await.until(
          "one file is left",
          () -> {
            spool.tidy();
            return files().size() == 1;
          });
    }
  }

  @Test
  void full_takesNothingMore_untilSomethingIsRemoved_unlessForced() throws Exception {
    try (Spool spool = open(16 << 10)) {
      int count = 0;
      while (spool.put(message("message " + count), false)) {
        count++;
      }
      spool.flush();
      assertThat(count).isBetween(50, 300);
      assertThat(spool.hasRoom()).isTrue(); // for a small one
      assertThat(spool.put(message("message " + count), true)).isTrue();
      spool.flush();
      List<Entry> entries = take(spool);
      assertThat(entries).hasSize(count + 1);
      spool.removeThrough(entries.getLast());
      Await.until(
          "there is room",
          () -> {
            spool.tidy();
            return spool.put(message("more"), false);
          });
    }
  }

  @Test
  void spool_isForOneProcess() {
    try (Spool _ = open()) {
      assertThatThrownBy(this::open)
          .isInstanceOf(InferenceException.class)
          .hasMessageContaining("uses it");
    }
  }

  @Test
  void directory_thatCannotBeMade_isAClearError() throws IOException {
    Files.writeString(directory.resolve("spool"), "a file");
    assertThatThrownBy(this::open)
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("cannot be used");
  }

  @Test
  void corruptBytes_loseTheirMessageOnly_andAreCounted() throws Exception {
    try (Spool spool = open()) {
      put(spool, 0, 10);
    }
    Path file = files().getFirst();
    long frame = Files.size(file) / 10;
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
      bytes.seek(3 * frame + Frames.HEADER + 5); // within the fourth
      bytes.write(new byte[] {1, 2, 3});
      bytes.seek(6 * frame + 4); // the length of the seventh
      bytes.writeInt(Integer.MAX_VALUE / 4);
    }
    try (Spool spool = open()) {
      put(spool, 10, 12);
      assertThat(texts(take(spool)))
          .isEqualTo(
              expected(0, 12).stream().filter(text -> !text.matches("message [36]")).toList());
    }
    assertThat(counts.of("SPOOL_CORRUPT")).isEqualTo(2);
  }

  @Test
  void unfinishedLastMessage_isLeftOut_withoutAWord() throws Exception {
    try (Spool spool = open()) {
      put(spool, 0, 10);
    }
    Path file = files().getFirst();
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
      bytes.setLength(bytes.length() - 7);
    }
    try (Spool spool = open()) {
      put(spool, 10, 12);
      List<String> texts = texts(take(spool));
      assertThat(texts)
          .hasSize(11)
          .doesNotContain("message 9")
          .endsWith("message 10", "message 11");
    }
    assertThat(counts.dropped()).isZero();
  }

  @Test
  void garbageForACursorOrAFile_startsFromTheFirstWholeMessage() throws Exception {
    try (Spool spool = open()) {
      put(spool, 0, 3);
      spool.removeThrough(take(spool).getFirst());
    }
    Files.write(directory.resolve("spool/cursor"), new byte[] {9, 9, 9});
    Files.writeString(directory.resolve("spool/notes.txt"), "not of the spool");
    try (Spool spool = open()) {
      assertThat(texts(take(spool))).isEqualTo(expected(0, 3));
    }
  }

  @Test
  void largeMessages_comeBackWhole() throws Exception {
    try (Spool spool = open(64 << 20)) {
      String large = "x".repeat(3 << 20);
      for (int i = 0; i < 5; i++) {
        spool.put(message(large + i), false);
        spool.put(message("message " + i), false);
      }
      spool.flush();
      List<String> texts = texts(take(spool));
      assertThat(texts).hasSize(10);
      assertThat(texts.get(8)).isEqualTo(large + 4);
      assertThat(texts.get(9)).isEqualTo("message 4");
    }
  }
}
