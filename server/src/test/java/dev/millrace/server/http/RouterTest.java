package dev.millrace.server.http;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.handler.codec.http.HttpMethod;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RouterTest {
  private final Router router =
      new Router(new HttpMeters(new SimpleMeterRegistry()))
          .add(HttpMethod.GET, "/", exchange -> {})
          .add(HttpMethod.GET, "/v2", exchange -> {})
          .add(HttpMethod.GET, "/v2/models/stats", exchange -> {})
          .add(HttpMethod.GET, "/v2/models/{model}", exchange -> {})
          .add(HttpMethod.POST, "/v2/models/{model}/infer", exchange -> {})
          .add(HttpMethod.POST, "/v2/models/{model}/versions/{version}/infer", exchange -> {})
          .add(HttpMethod.GET, "/v1/models/{model}", exchange -> {})
          .add(HttpMethod.POST, "/v1/models/{model}", exchange -> {})
          .add(HttpMethod.POST, "/v1/models/{model}:predict", exchange -> {});

  private Router.Node place(String target) {
    return requireNonNull(router.find(target));
  }

  private Route route(String method, String target) {
    return requireNonNull(place(target).route(HttpMethod.valueOf(method)));
  }

  @ParameterizedTest
  @CsvSource({
    "GET,  /,                                    /",
    "GET,  /v2,                                  /v2",
    "GET,  /v2/,                                 /v2",
    "HEAD, /v2?a=/b,                             /v2",
    "GET,  http://localhost:8080/v2,             /v2",
    "GET,  /v2/models/stats,                     /v2/models/stats",
    "GET,  /v2/models/stat,                      /v2/models/{model}",
    "POST, /v2/models/stats/infer,               /v2/models/{model}/infer",
    "POST, /v2/models/m/infer?test_1=1&test_2=2, /v2/models/{model}/infer",
    "POST, /v2/models/m/versions/3/infer,        /v2/models/{model}/versions/{version}/infer",
    "POST, /v1/models/m:predict,                 /v1/models/{model}:predict",
    "POST, /v1/models/m%3Apredict,               /v1/models/{model}:predict",
    "POST, /v1/models/a%3ab%3apredict/,          /v1/models/{model}:predict",
    "POST, /v1/models/m:explain,                 /v1/models/{model}",
    "POST, /v1/models/%3Apredict,                /v1/models/{model}",
  })
  void path_findsItsRoute(String method, String target, String template) {
    assertThat(route(method, target).template()).isEqualTo(template);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/v3",
        "/v2/models",
        "/v2/models/m/other",
        "/v2/models//infer",
        "/v2/models/m/infer/more",
        "/v1/models/:predict/more",
        "v2",
        "",
        "*",
        "http://localhost"
      })
  void path_thatIsNotServed_hasNoRoute(String target) {
    assertThat(router.find(target)).isNull();
  }

  @ParameterizedTest
  @CsvSource({
    "/v2/models/a%20b%2Fc/infer?x=%,        a b/c",
    "/v2/models/a+b/infer,                  a+b",
    "/v2/models/%C3%A9/infer,               é",
    "/v2/models/Ã©%20/infer,                'é '",
    "http://h/v2/models/m/infer,            m",
  })
  void variable_isDecoded(String target, String value) {
    assertThat(route("POST", target).variable("model", target)).isEqualTo(value);
  }

  @Test
  void variable_withSuffix_isWithoutIt() {
    for (String target : List.of("/v1/models/a:b:predict", "/v1/models/a%3Ab%3Apredict?x")) {
      assertThat(route("POST", target).variable("model", target)).isEqualTo("a:b");
    }
  }

  @Test
  void place_namesItsMethods() {
    assertThat(place("/v1/models/m").allowed()).isEqualTo("GET, HEAD, POST");
    assertThat(place("/v2/models/m/infer").allowed()).isEqualTo("POST");
    assertThat(place("/v2/models/m/infer").route(HttpMethod.GET)).isNull();
  }

  @Test
  void route_thatIsThere_isRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> router.add(HttpMethod.GET, "/v2", exchange -> {}))
        .withMessage("GET /v2 is there already");
  }
}
