package example;

import dev.millrace.api.InferenceRequest;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A step that takes out of the model's texts what nobody shall see or log, as mail addresses.
 *
 * <p>In a {@code model.yaml}:
 *
 * <pre>{@code
 * transformers:
 *   - redact:
 *       input: text
 *       pattern: '\S+@\S+'
 *       replacement: '<mail>'
 * }</pre>
 */
public final class Redact implements TransformerFactory {
  @Override
  public String name() {
    return "redact";
  }

  @Override
  public Transformer create(TransformerSource source) {
    var settings = source.settings();
    String pattern = settings.string("pattern").orElse("\\S+@\\S+");
    try {
      return new Step(
          settings.string("input").orElse("text"),
          Pattern.compile(pattern),
          settings.string("replacement").orElse("<redacted>"));
    } catch (PatternSyntaxException e) {
      throw settings.bad("pattern", pattern, "a regular expression: " + e.getDescription());
    }
  }

  /** Immutable, because many requests pass it at once. */
  private record Step(String input, Pattern pattern, String replacement) implements Transformer {
    @Override
    public String name() {
      return "redact";
    }

    @Override
    public boolean mayBlock() {
      return false;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      Tensor texts = request.inputs().get(input);
      if (texts == null) {
        return request;
      }
      List<String> redacted =
          texts.toStrings().stream()
              .map(text -> pattern.matcher(text).replaceAll(replacement))
              .toList();
      Tensor made = Tensor.copyOf(texts.shape(), redacted.toArray(String[]::new));
      // The other inputs move into the new request; the one that is replaced is closed.
      TensorMap.Builder inputs = TensorMap.builder();
      request.inputs()
          .forEach((name, tensor) -> inputs.put(name, tensor == texts ? made : tensor));
      texts.close();
      return request.withInputs(inputs.build());
    }
  }
}
