package dev.millrace.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ParametersTest {
  @Test
  void values_areTyped() {
    Parameters parameters =
        Parameters.copyOf(Map.of("priority", 3, "flag", true, "name", "n", "ratio", 0.5f));
    assertThat(parameters.integer("priority")).contains(3L);
    assertThat(parameters.bool("flag")).contains(true);
    assertThat(parameters.string("name")).contains("n");
    assertThat(parameters.asMap()).containsEntry("ratio", 0.5);
    assertThat(parameters.string("absent")).isEmpty();
  }

  @Test
  void wrongType_isTheClientsError() {
    Parameters parameters = Parameters.copyOf(Map.of("timeout", "soon"));
    assertThatThrownBy(() -> parameters.integer("timeout"))
        .hasMessage("invalid value type for 'timeout' parameter, expected int64_param.");
    assertThatThrownBy(() -> Parameters.copyOf(Map.of("list", List.of())))
        .hasMessage("parameter 'list' must be a string, a boolean or a number");
  }
}
