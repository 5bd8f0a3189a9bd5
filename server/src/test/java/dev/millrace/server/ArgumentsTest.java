package dev.millrace.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ArgumentsTest {
  private static final Set<String> FLAGS =
      Set.of("--http-port", "--model-name", "--model", "--max-batch-size", "--max-queue-delay");

  private static Arguments of(String... raw) {
    return Arguments.of(List.of(raw), FLAGS);
  }

  @Test
  void kserveSpellings_areMillraces() {
    assertThat(of("--http_port", "1", "--model_name=m", "--model_dir", "/mnt/models").list())
        .containsExactly("--http-port=1", "--model-name=m", "--model=/mnt/models");
  }

  @Test
  void flagsOfKservesBatcher_areMillraces() {
    assertThat(of("--max-batchsize", "32", "--max-latency=500").list())
        .containsExactly("--max-batch-size=32", "--max-queue-delay=500ms");
    assertThat(of("--max_latency=5ms", "--max-queue-delay=7").list())
        .containsExactly("--max-queue-delay=5ms", "--max-queue-delay=7");
  }

  @Test
  void kserveFlagsWithoutMeaning_areLeftOutWithTheirValuesAndAWarning() {
    Arguments arguments =
        of(
            "serve",
            "--workers=2",
            "--namespace",
            "default",
            "--kafka_topic",
            "t",
            "--enable_x",
            "--http-port",
            "1",
            "m.onnx");

    assertThat(arguments.list()).containsExactly("serve", "--http-port=1", "m.onnx");
    assertThat(arguments.warnings())
        .hasSize(4)
        .first()
        .isEqualTo("ignored flag --workers: not one of Millrace's");
  }

  @Test
  void misspeltKserveFlag_isWarnedOfWithTheRightOne() {
    assertThat(of("--htp_port=1").warnings())
        .containsExactly(
            "ignored flag --htp_port: not one of Millrace's; did you mean --http-port?");
  }

  @Test
  void valuesThatSayNothing_areAsGoodAsNoFlag() {
    assertThat(
            of("--http-port=", "--model_name", "<no value>", "--model", " ", "<no value>", "")
                .list())
        .isEmpty();
  }

  @Test
  void otherUnknownFlags_areLeftToTheParser() {
    assertThat(of("--htp-port", "1", "-x").list()).containsExactly("--htp-port", "1", "-x");
  }

  @Test
  void whatFollowsTwoDashes_isLeftAlone() {
    assertThat(of("--", "--http_port", "").list()).containsExactly("--", "--http_port", "");
  }

  @Test
  void knownFlagWithoutValue_isLeftToTheParser() {
    assertThat(of("--http_port", "--model_name=m").list())
        .containsExactly("--http-port", "--model-name=m");
  }
}
