package dev.millrace.server;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.runtime.Plugins;
import dev.millrace.testing.TensorLeakExtension;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(TensorLeakExtension.class)
class CommandLineInterfaceTest {
  @TempDir Path directory;
  private final Map<String, String> variables = new HashMap<>();
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @BeforeEach
  void keepTheMachinesTerminationLog() {
    variables.put("MILLRACE_TERMINATION_LOG", directory.resolve("termination-log").toString());
  }

  private int run(String... arguments) {
    return new CommandLineInterface(
            variables,
            new PrintStream(out, true, UTF_8),
            new PrintStream(err, true, UTF_8),
            () -> Plugins.of(List.of(new SumBackend())),
            StopSignal::manual)
        .run(List.of(arguments));
  }

  private String errors() {
    return err.toString(UTF_8).strip();
  }

  private void assertUsageError(String message, String... arguments) {
    err.reset();
    assertThat(run(arguments)).as(message).isEqualTo(2);
    assertThat(errors()).isEqualTo("millrace: " + message);
  }

  @Test
  void badFlagsAndConfigurations_exitWithTwoAndOneLine() {
    String model = "model.sum";
    assertUsageError(
        "unknown flag '--htp-port'; did you mean '--http-port'?", "serve", "--htp-port=1", model);
    assertUsageError("unknown flag '-x'; did you mean '-h'?", "serve", "-x", model);
    assertUsageError("unknown command 'server'; did you mean 'serve'?", "server");
    assertUsageError(
        "command line: --http-port: expected a whole number from 0 to 65535, got 'abc'",
        "serve",
        "--http_port",
        "abc",
        model);
    assertUsageError(
        "nothing to serve: name a model file, a directory with a model or a repository of models,"
            + " as in 'millrace serve path/to/model'",
        "serve",
        "--http-port=0");
    assertUsageError(
        "Missing required parameter for option '--http-port' (<port>)", "serve", "--http-port");
    variables.put("MILLRACE_LOG_LEVEL", "loud");
    assertUsageError(
        "environment: MILLRACE_LOG_LEVEL: expected one of off, error, warn, info, debug, trace, got"
            + " 'loud'",
        "serve",
        model);
  }

  @Test
  void badFile_exitsWithTwoAndOneLine() throws IOException {
    Path file = Files.writeString(directory.resolve("c.yaml"), "http-port: [\n");
    assertThat(run("serve", "--config", file.toString(), "m.sum")).isEqualTo(2);
    assertThat(errors()).startsWith("millrace: " + file + ": line 2").doesNotContain("\n");
  }

  @Test
  void noCommand_showsTheUsage() {
    assertThat(run()).isEqualTo(2);
    assertThat(errors()).startsWith("Usage: millrace").contains("serve", "inspect", "version");
  }

  @Test
  void help_showsEveryFlag() {
    assertThat(run("serve", "--help")).isZero();
    String help = out.toString(UTF_8);
    for (Setting<?> setting : ServerSettings.ALL) {
      if (!setting.equals(ServerSettings.MODEL)) {
        assertThat(help).contains(setting.flag());
      }
    }
    assertThat(help).doesNotContain("`").doesNotContain("](");
    assertThat(errors()).isEmpty();
  }

  @Test
  void version_showsMillraceJavaAndBackends() {
    assertThat(run("version")).isZero();
    assertThat(out.toString(UTF_8))
        .startsWith("millrace " + Version.text())
        .contains("Java 2", "backend sum: *.sum on [cpu]");
    assertThat(run("--version")).isZero();
  }

  @Test
  void missingModel_exitsWithOneAndWritesTheTerminationLog() throws IOException {
    Path missing = directory.resolve("missing");
    assertThat(run("serve", "--http-port=0", "--grpc-port=0", missing.toString())).isEqualTo(1);
    assertThat(errors()).isEqualTo("millrace: " + missing + " does not exist");
    assertThat(directory.resolve("termination-log")).hasContent(missing + " does not exist");
  }

  @Test
  void modelThatDoesNotLoad_exitsWithOneAndSaysWhy() throws IOException {
    Path model = SumModels.write(directory, "bad", "broken");
    assertThat(run("serve", "--http-port=0", "--grpc-port=0", model.toString())).isEqualTo(1);
    assertThat(errors())
        .startsWith("millrace: ")
        .contains("bad", "it is broken")
        .doesNotContain("\n");
    assertThat(directory.resolve("termination-log")).isNotEmptyFile();
  }

  @Test
  void hostThatIsNot_isNamed() throws IOException {
    Path model = SumModels.write(directory, "sum", "");
    assertThat(
            run(
                "serve",
                "--host=nowhere.invalid",
                "--http-port=0",
                "--grpc-port=0",
                model.toString()))
        .isEqualTo(1);
    assertThat(errors())
        .startsWith(
            "millrace: cannot listen on port 0 of 'nowhere.invalid': there is no such host");
  }

  @Test
  void portInUse_exitsWithOne() throws IOException {
    Path model = SumModels.write(directory, "sum", "");
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String port = Integer.toString(socket.getLocalPort());
      assertThat(
              run(
                  "serve",
                  "--host=localhost",
                  "--http-port",
                  port,
                  "--grpc-port=0",
                  model.toString()))
          .isEqualTo(1);
      assertThat(errors()).startsWith("millrace: cannot listen on port " + port);
    }
  }

  @Test
  void inspect_showsTheModelAndARequestThatWorks() throws Exception {
    Path model = SumModels.write(directory, "sum", "");
    ServerConfig config = ServerConfig.of(model).onFreePorts();
    try (MillraceServer server = MillraceServer.start(config, List.of(new SumBackend()))) {
      assertThat(run("inspect", model.toString(), "--http-port=" + server.port())).isZero();

      String shown = out.toString(UTF_8);
      assertThat(shown)
          .contains("sum\n", "versions  1\n", "platform  sum_java\n", "batching  up to 8 rows")
          .contains("inputs    INPUT0   INT32  [-1,16]".replace("   INT", "  INT"))
          .contains("outputs   OUTPUT0  INT32  [-1,16]");
      String curl = shown.substring(shown.indexOf("curl ")).strip();
      Process process =
          new ProcessBuilder("sh", "-c", curl.replaceFirst("curl ", "curl -s ")).start();
      String answer = new String(process.getInputStream().readAllBytes(), UTF_8);
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(answer).contains("OUTPUT0").contains("[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]");
    }
    assertThat(errors()).isEmpty();
  }

  @Test
  void inspectOfWhatIsNoModel_exitsWithOne() {
    assertThat(run("inspect", directory.toString())).isEqualTo(1);
    assertThat(errors()).startsWith("millrace: " + directory + " holds no model");
  }
}
