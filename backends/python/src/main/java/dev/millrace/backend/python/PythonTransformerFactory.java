package dev.millrace.backend.python;

import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.api.spi.TransformerSource;

/** Makes the step {@code python}: a script with a class {@code Transformer} around any model. */
public final class PythonTransformerFactory implements TransformerFactory {
  /** A new factory; the service loader calls it. */
  public PythonTransformerFactory() {}

  @Override
  public String name() {
    return "python";
  }

  @Override
  public Transformer create(TransformerSource source) {
    return PythonTransformer.of(source.model(), source.directories(), source.settings());
  }
}
