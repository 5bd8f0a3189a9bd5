package dev.millrace.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextProtoTest {
  private static final Path FILE = Path.of("config.pbtxt");

  private static TextMessage parse(String text) {
    return TextProto.parse(FILE, text);
  }

  @Test
  void fields_haveValuesOfAllKinds() {
    TextMessage message =
        parse(
            """
            # a comment
            name: "half" ' two'   # texts that follow each other are one
            count: 0x10, small: -3; on: true
            dims: [ 1, -1 ] dims: 3
            group { kind: KIND_CPU }
            group: < kind: KIND_GPU >
            group: [ { kind: "A" }, { kind: "B" } ]
            none: []
            """);
    assertThat(message.text("name")).hasValue("half two");
    assertThat(message.integer("count", 0, 99)).hasValue(16);
    assertThat(message.integer("small", -9, 99)).hasValue(-3);
    assertThat(message.bool("on")).hasValue(true);
    assertThat(message.integers("dims", -1, 9)).containsExactly(1L, -1L, 3L);
    assertThat(message.messages("group").stream().map(group -> group.text("kind").orElse("")))
        .containsExactly("KIND_CPU", "KIND_GPU", "A", "B");
    assertThat(message.messages("none")).isEmpty();
    assertThat(message.unread()).isEmpty();
  }

  @Test
  void texts_haveEscapes() {
    assertThat(parse("a: \"tab\\t quote\\\" \\x41\\101 \\u00e9 \\U0001F600 é 😀\"").text("a"))
        .hasValue("tab\t quote\" AA é 😀 é 😀");
  }

  @Test
  void unreadFields_areToldWithTheirLines() {
    TextMessage message = parse("a: 1\nb { c: 2\n d: 3 }\ne: 4");
    message.integer("a", 0, 9);
    message.message("b").orElseThrow().integer("c", 0, 9);
    assertThat(message.unread()).containsExactly("b.d (line 3)", "e (line 4)");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a { b: 1              | 1: the file ends before the '}' of the message in line 1",
        "a: \"x                | 1: a text is not closed by \"",
        "a: \"\\q\"            | 1: unknown escape '\\q' in a text",
        "a: \"\\xg\"           | 1: an escape in a text has no digits",
        "a: \"\\UFFFFFFFF\"    | 1: there is no character U+FFFFFFFF",
        "a 1                   | 1: expected ':' or '{' after 'a'",
        "a: [1 2]              | 1: expected ',' or ']' in the list of 'a'",
        "a: }                  | 1: expected a value, got '}'",
        "a:                    | 1: expected a value, and the file ends",
        "}                     | 1: expected the name of a field, got '}'",
        "[x.y]: 1              | 1: expected the name of a field, got '['",
      })
  void whatIsNoTextFormat_isRefusedWithItsLine(String text, String problem) {
    assertThatThrownBy(() -> parse(text)).hasMessage("config.pbtxt:" + problem);
  }

  @Test
  void values_thatDoNotDo_areRefusedWithTheirLine() {
    TextMessage message = parse("a: 1\nb: x\nc { d: 99999999999 }\na: 2");
    assertThatThrownBy(() -> message.text("a"))
        .hasMessage("config.pbtxt:4: a: expected one value, got 'a second one'");
    assertThatThrownBy(() -> message.integer("b", 0, 9))
        .hasMessage("config.pbtxt:2: b: expected a whole number from 0 to 9, got 'x'");
    assertThatThrownBy(() -> message.message("c").orElseThrow().integer("d", 0, 9))
        .hasMessage("config.pbtxt:3: c.d: expected a whole number from 0 to 9, got '99999999999'");
    assertThatThrownBy(() -> message.message("b"))
        .hasMessage("config.pbtxt:2: b: expected a message in braces, got 'x'");
    assertThatThrownBy(() -> message.bool("b")).hasMessageContaining("expected true or false");
  }

  @Test
  void depthLengthAndFields_areBounded(@TempDir Path directory) throws IOException {
    assertThatThrownBy(() -> parse("a{".repeat(100_000)))
        .hasMessage("config.pbtxt:1: nested deeper than 32 levels");
    assertThatThrownBy(() -> parse("a:[" + "1,".repeat(200_000)))
        .hasMessage("config.pbtxt:1: more than 100000 fields");
    Path large = Files.writeString(directory.resolve("config.pbtxt"), " ".repeat((1 << 20) + 1));
    assertThatThrownBy(() -> TextProto.read(large)).hasMessageContaining("longer than");
    Path binary = Files.write(directory.resolve("binary.pbtxt"), new byte[] {(byte) 0xff, 0});
    assertThatThrownBy(() -> TextProto.read(binary)).hasMessageContaining("cannot be read as text");
  }

  @Test
  void anyText_isReadOrRefused_andNothingElse() {
    SplittableRandom random = new SplittableRandom(5);
    String letters = "ab:{}<>[],;\"'\\x0-1. #\n\u0000é";
    List<String> seeds = List.of("a: 1 b { c: \"x\" }", "a: [1, 2] b < c: -1 >");
    for (int i = 0; i < 20_000; i++) {
      StringBuilder text = new StringBuilder(seeds.get(random.nextInt(seeds.size())));
      for (int change = random.nextInt(1, 6); change > 0; change--) {
        text.insert(
            random.nextInt(text.length() + 1), letters.charAt(random.nextInt(letters.length())));
      }
      try {
        parse(text.toString()).unread();
      } catch (dev.millrace.api.InferenceException e) {
        assertThat(e).hasMessageStartingWith("config.pbtxt:");
      }
    }
  }
}
