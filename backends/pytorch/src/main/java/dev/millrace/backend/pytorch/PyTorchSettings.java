package dev.millrace.backend.pytorch;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * The section {@code pytorch} of a model's configuration.
 *
 * @param inputs what the model takes, which its file does not say; empty if that is left open
 * @param outputs what the model gives; empty if that is left open
 * @param optimized whether scripts are rewritten for the shapes that they are run with
 */
record PyTorchSettings(List<TensorSpec> inputs, List<TensorSpec> outputs, boolean optimized) {
  PyTorchSettings {
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
  }

  /**
   * Reads the section.
   *
   * @throws InferenceException INVALID_ARGUMENT if a key or value does not do
   */
  static PyTorchSettings read(Settings settings) {
    PyTorchSettings read =
        new PyTorchSettings(
            specs(settings, "inputs"),
            specs(settings, "outputs"),
            settings.bool("optimized-execution").orElse(true));
    settings.rejectUnknown();
    return read;
  }

  private static List<TensorSpec> specs(Settings settings, String key) {
    List<TensorSpec> specs = new ArrayList<>();
    for (Settings section : settings.sections(key)) {
      TensorSpec spec =
          new TensorSpec(
              section
                  .string("name")
                  .filter(name -> !name.isBlank())
                  .orElseThrow(() -> section.bad("name", "", "a name")),
              dataType(section),
              shape(section));
      if (specs.stream().anyMatch(other -> other.name().equals(spec.name()))) {
        throw section.bad("name", spec.name(), "a name that no other has");
      }
      specs.add(spec);
    }
    return specs;
  }

  private static DataType dataType(Settings section) {
    String name = section.string("datatype").orElse("");
    for (DataType type : PyTorchTensors.DATA_TYPES) {
      if (type.name().equalsIgnoreCase(name.strip())) {
        return type;
      }
    }
    throw section.bad("datatype", name, "one of " + PyTorchTensors.DATA_TYPES);
  }

  private static Shape shape(Settings section) {
    String expected = "a list of sizes, -1 where any will do, as in [-1, 64]";
    if (section.value("shape").isEmpty()) {
      throw section.bad("shape", "", expected);
    }
    List<Object> sizes = section.list("shape");
    long[] dims = new long[sizes.size()];
    try {
      for (int i = 0; i < dims.length; i++) {
        dims[i] = Long.parseLong(sizes.get(i).toString().strip());
      }
      return Shape.of(dims);
    } catch (NumberFormatException | InferenceException e) {
      throw section.bad("shape", sizes, expected);
    }
  }
}
