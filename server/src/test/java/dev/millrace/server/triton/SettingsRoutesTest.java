package dev.millrace.server.triton;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.millrace.proto.inference.LogSettingsRequest;
import dev.millrace.proto.inference.LogSettingsResponse;
import dev.millrace.proto.inference.TraceSettingRequest;
import dev.millrace.proto.inference.TraceSettingResponse;
import dev.millrace.server.http.RawClient.Response;
import dev.millrace.server.log.LogControl;
import dev.millrace.server.log.LogLevel;
import dev.millrace.server.v2.TestBackend;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsRoutesTest {
  private static TritonFixture fixture;

  private LogLevel before = LogLevel.INFO;

  @BeforeAll
  static void start(@TempDir Path repository) throws IOException {
    fixture = new TritonFixture(TestBackend.repository(repository, "simple"));
  }

  @AfterAll
  static void stop() throws IOException {
    fixture.close();
  }

  @BeforeEach
  void remember() {
    before = LogControl.level();
  }

  @AfterEach
  void restore() {
    assertThat(LogControl.set(before)).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'log_verbose_level':1} | DEBUG | true,'log_warning':true,'log_error':true,'log_verbose_level':1",
        "{'log_verbose_level':4} | TRACE | true,'log_warning':true,'log_error':true,'log_verbose_level':2",
        "{'log_verbose_level':0,'log_info':true} | INFO | true,'log_warning':true,'log_error':true,'log_verbose_level':0",
        "{'log_verbose_level':0,'log_info':false} | WARN | false,'log_warning':true,'log_error':true,'log_verbose_level':0",
        "{'log_verbose_level':0,'log_info':false,'log_warning':false} | ERROR | false,'log_warning':false,'log_error':true,'log_verbose_level':0",
        "{'log_verbose_level':0,'log_info':false,'log_warning':false,'log_error':false} | OFF | false,'log_warning':false,'log_error':false,'log_verbose_level':0",
      })
  void logging_isChangedAndTold(String change, LogLevel level, String told) throws IOException {
    assertThat(LogControl.set(LogLevel.INFO)).isTrue();
    Response changed = fixture.post("/v2/logging", change);

    assertThat(changed.body())
        .isEqualTo(
            "{'log_file':'','log_info':%s,'log_format':'ISO8601'}"
                .formatted(told)
                .replace('\'', '"'));
    assertThat(changed.status()).isEqualTo(200);
    assertThat(LogControl.level()).isEqualTo(level);
    assertThat(fixture.get("/v2/logging").body()).isEqualTo(changed.body());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "400 | {'log_infos':true}    | unknown log setting 'log_infos', known are [log_file, log_info, log_warning, log_error, log_verbose_level, log_format]",
        "400 | {'log_info':1}        | log setting 'log_info' must be a boolean, got '1'",
        "400 | {'log_info':null}     | log setting 'log_info' must not be null",
        "400 | {'log_verbose_level':-1} | log setting 'log_verbose_level' must be a number from 0 on, got '-1'",
        "400 | {'log_format':'x'}    | log setting 'log_format' must be default or ISO8601, got 'x'",
        "501 | {'log_format':'default'} | log_format is always ISO8601",
        "501 | {'log_error':true,'log_file':'/tmp/x'} | log_file cannot be set: the log goes to the standard output",
        "400 | [                     | failed to parse the request JSON buffer: expected an object",
      })
  void loggingThatCannotBe_changesNothing(int status, String body, String message)
      throws IOException {
    Response response = fixture.post("/v2/logging", body);

    assertThat(response.body()).isEqualTo("{\"error\":\"%s\"}".formatted(message));
    assertThat(response.status()).isEqualTo(status);
    assertThat(LogControl.level()).isEqualTo(before);
  }

  @Test
  void logging_overGrpc() {
    LogSettingsResponse changed =
        fixture
            .stub()
            .logSettings(
                LogSettingsRequest.newBuilder()
                    .putSettings(
                        "log_verbose_level",
                        LogSettingsRequest.SettingValue.newBuilder().setUint32Param(1).build())
                    .build());

    assertThat(LogControl.level()).isEqualTo(LogLevel.DEBUG);
    assertThat(changed.getSettingsOrThrow("log_verbose_level").getUint32Param()).isEqualTo(1);
    assertThat(changed.getSettingsOrThrow("log_info").getBoolParam()).isTrue();
    assertThat(changed.getSettingsOrThrow("log_format").getStringParam()).isEqualTo("ISO8601");
    assertThat(fixture.stub().logSettings(LogSettingsRequest.getDefaultInstance()))
        .isEqualTo(changed);
  }

  @Test
  void tracing_isOffAndSaysSo() throws IOException {
    String settings =
        "{'trace_level':['OFF'],'trace_rate':'1000','trace_count':'-1','log_frequency':'0','trace_file':'','trace_mode':'triton'}"
            .replace('\'', '"');
    for (String path : new String[] {"/v2/trace/setting", "/v2/models/simple/trace/setting"}) {
      assertThat(fixture.get(path).body()).isEqualTo(settings);
      assertThat(fixture.post(path, "{'trace_level':['OFF'],'trace_rate':null}").body())
          .isEqualTo(settings);
      Response refused = fixture.post(path, "{'trace_level':['TIMESTAMPS']}");
      assertThat(refused.status()).isEqualTo(501);
      assertThat(refused.body())
          .isEqualTo(
              "{\"error\":\"tracing is not supported: 'trace_level' cannot be set to [TIMESTAMPS]\"}");
      assertThat(fixture.post(path, "{'trace_leve':null}").status()).isEqualTo(400);
      assertThat(fixture.post(path, "{'trace_rate':1}").status()).isEqualTo(400);
    }
    assertThat(fixture.get("/v2/models/nobody/trace/setting").status()).isEqualTo(404);
  }

  @Test
  void tracing_overGrpc() {
    TraceSettingResponse settings =
        fixture
            .stub()
            .traceSetting(TraceSettingRequest.newBuilder().setModelName("simple").build());
    assertThat(settings.getSettingsOrThrow("trace_level").getValueList()).containsExactly("OFF");

    assertThatThrownBy(() ->
            fixture
                .stub()
                .traceSetting(
                    TraceSettingRequest.newBuilder()
                        .putSettings(
                            "trace_level",
                            TraceSettingRequest.SettingValue.newBuilder()
                                .addValue("TENSORS")
                                .build())
                        .build()))
        .isInstanceOfSatisfying(
            StatusRuntimeException.class,
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNIMPLEMENTED));
  }
}
