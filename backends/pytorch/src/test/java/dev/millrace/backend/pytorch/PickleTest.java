package dev.millrace.backend.pytorch;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PickleTest {
  private static Optional<Object> read(String bytes) {
    return Pickle.read(bytes.getBytes(ISO_8859_1));
  }

  @Test
  void values_areRead() {
    assertThat(read("\u0080\u0002K\u0005.")).contains(5L);
    assertThat(read("J\u00ff\u00ff\u00ff\u00ff.")).contains(-1L);
    assertThat(read("\u008a\u0002\u0000\u0080.")).contains(-32768L);
    assertThat(read("\u008a\u0000.")).contains(0L);
    assertThat(read("G?\u00f0\u0000\u0000\u0000\u0000\u0000\u0000.")).contains(1.0);
    assertThat(read("X\u0002\u0000\u0000\u0000hi.")).contains("hi");
    assertThat(read("](K\u0001K\u0002e.")).contains(List.of(1L, 2L));
    assertThat(read("}(K\u0001\u0088u.")).contains(Map.of(1L, true));
    assertThat(read("K\u0001q\u0000h\u0000\u0086.")).contains(List.of(1L, 1L));
    assertThat(read("cos\nsystem\nX\u0002\u0000\u0000\u0000ls\u0085R."))
        .contains(new Pickle.Call("os.system", List.of("ls")));
  }

  @Test
  void bytesThatAreNoPickle_areNothing() {
    for (String bytes :
        List.of(
            "",
            ".",
            "t.",
            "K",
            "h\u0001.",
            "X\u00ff\u00ff\u00ff\u007fa.",
            "\u00ff.",
            "K\u0001e.",
            "cos")) {
      assertThat(read(bytes)).as(bytes).isEmpty();
    }
    Random random = new Random(3);
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = new byte[random.nextInt(40)];
      random.nextBytes(bytes);
      assertThat(Pickle.read(bytes)).isNotNull();
    }
  }
}
