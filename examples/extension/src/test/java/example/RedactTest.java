package example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RedactTest {
  @Test
  void addresses_areReplaced() {
    Settings settings = Settings.of("test", Map.of("replacement", "<mail>"));
    try (Transformer step =
            new Redact()
                .create(new TransformerSource(new ModelId("m", "1"), List.of(), settings));
        InferenceRequest request =
            step.preprocess(
                InferenceRequest.of(
                    "m",
                    TensorMap.of(
                        "text", Tensor.copyOf(Shape.of(1), "ask ann@example.org today"))))) {
      assertEquals(List.of("ask <mail> today"), request.inputs().tensor(0).toStrings());
    }
  }
}
