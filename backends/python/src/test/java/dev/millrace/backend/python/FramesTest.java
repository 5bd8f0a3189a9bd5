package dev.millrace.backend.python;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** How a worker takes frames off its socket, however they are cut there. */
class FramesTest {
  private static final String READING =
      """
      import socket, sys
      sys.path.insert(0, sys.argv[1])
      from millrace_worker import wire

      sent = [wire.frame(2, b"call"), wire.frame(6), wire.frame(3, b"x" * 300000), wire.frame(3)]
      stream = b"".join(sent)
      for step in (1, 4, 5, 7, 13, 65536, 73728, len(stream)):
          frames, found = wire.Frames(None), []
          for start in range(0, len(stream), step):
              assert frames.read(stream[start : start + step])
              while True:
                  frame = frames.take()
                  if frame is None: break
                  found.append(bytes(frame))
          assert found == sent, step
          assert not frames.rest

      here, there = socket.socketpair()
      frames = wire.Frames(here)
      there.sendall(sent[0] + sent[1] + sent[3][:2])
      there.close()
      assert [bytes(frames.receive()) for _ in range(2)] == sent[:2]
      assert wire.kind_of(sent[1]) == 6
      assert frames.receive() is None
      print("all found")
      """;

  @Test
  void frames_areTheSameHoweverTheyAreRead() throws Exception {
    PythonFixture.requirePython();
    Path library =
        Path.of(PythonModel.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Process process =
        new ProcessBuilder("python3", "-c", READING, library.toString())
            .redirectErrorStream(true)
            .start();
    String printed = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(printed).isEqualTo("all found");
  }
}
