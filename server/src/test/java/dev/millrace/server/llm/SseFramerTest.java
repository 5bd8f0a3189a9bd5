package dev.millrace.server.llm;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.server.http.NettyLeakExtension;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(NettyLeakExtension.class)
class SseFramerTest {
  private final List<String> events = new ArrayList<>();
  private final StringBuilder passed = new StringBuilder();

  private SseFramer framer(String hidden) {
    return new SseFramer((in, start, end) -> {
      String text = in.toString(start, end - start, UTF_8);
      events.add(text);
      return hidden.isEmpty() || !text.contains(hidden);
    });
  }

  private void add(SseFramer framer, String piece) {
    ByteBuf bytes = ByteBufAllocator.DEFAULT.directBuffer();
    bytes.writeCharSequence(piece, UTF_8);
    framer.add(
        bytes,
        ByteBufAllocator.DEFAULT,
        out -> {
          passed.append(out.toString(UTF_8));
          out.release();
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\r"})
  void pieces_ofAnySize_makeTheSameEvents(String newline) {
    String stream =
        String.join(
            newline,
            "data: a",
            "",
            ": ping",
            "",
            "event: x",
            "data: b",
            "data: c",
            "",
            "data: [DONE]",
            "",
            "");
    Random random = new Random(7);
    for (int round = 0; round < 200; round++) {
      events.clear();
      passed.setLength(0);
      SseFramer framer = framer("");
      int at = 0;
      while (at < stream.length()) {
        int end = Math.min(stream.length(), at + 1 + random.nextInt(round == 0 ? 1 : 9));
        add(framer, stream.substring(at, end));
        at = end;
      }
      ByteBuf rest = framer.rest();
      if (rest != null) {
        passed.append(rest.toString(UTF_8));
        rest.release();
      }
      assertThat(passed.toString()).isEqualTo(stream);
      assertThat(events).hasSize(4);
      assertThat(events.get(2)).contains("event: x", "data: b", "data: c");
    }
  }

  @Test
  void linesMayEndDifferently_inOneStream() {
    Random random = new Random(11);
    for (int round = 0; round < 500; round++) {
      events.clear();
      StringBuilder stream = new StringBuilder();
      List<String> expected = new ArrayList<>();
      String[] ends = {"\n", "\n", "\n", "\r\n", "\r"};
      for (int i = 0; i < 20; i++) {
        String end = ends[random.nextInt(ends.length)];
        String event = "data: " + "x".repeat(random.nextInt(30)) + end + end;
        stream.append(event);
        expected.add(event.strip());
      }
      SseFramer framer = framer("");
      for (int at = 0; at < stream.length(); ) {
        int end = Math.min(stream.length(), at + 1 + random.nextInt(100));
        add(framer, stream.substring(at, end));
        at = end;
      }
      framer.close();
      assertThat(events).map(String::strip).containsExactlyElementsOf(expected);
    }
  }

  @Test
  void event_thatIsNotPassedOn_isMissing_andNothingElse() {
    SseFramer framer = framer("hide");
    add(framer, "data: a\n\ndata: hi");
    add(framer, "de\n\ndata: b\n\ndata: hide 2\n\n");
    add(framer, "data: c\n");
    assertThat(passed.toString()).isEqualTo("data: a\n\ndata: b\n\n");
    framer.close();
    assertThat(events).hasSize(4);
  }

  @Test
  void event_thatIsHuge_isPassedOnInPieces() {
    SseFramer framer = framer("");
    add(framer, "data: ");
    for (int i = 0; i < 30; i++) {
      add(framer, "x".repeat(100_000));
    }
    assertThat(passed).hasSizeGreaterThan(2_000_000);
    add(framer, "\n\ndata: b\n\n");
    assertThat(passed.toString()).endsWith("x\n\ndata: b\n\n").hasSize(6 + 3_000_000 + 2 + 9);
    assertThat(events).containsExactly("data: b\n\n");
  }
}
