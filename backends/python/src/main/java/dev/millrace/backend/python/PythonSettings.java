package dev.millrace.backend.python;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorSpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The section {@code python} of a model's configuration, and the settings of a Python transformer.
 *
 * @param interpreter an interpreter or the directory of a virtual environment
 * @param script the script, if its name is not one of those that are looked for
 * @param className the class in it, if it is not called as usual
 * @param transformer a script with a transformer that runs in the predictor's process
 * @param transformerClass the class in that, if it is not called as usual
 * @param config the file that {@code CONFIG_FILE_PATH} names
 * @param concurrency calls that one process answers at the same time
 * @param memoryLimit bytes that one process may allocate; 0 for no limit
 * @param inputs what the script takes; empty if only the script knows
 * @param outputs what it gives; empty if only the script knows
 */
record PythonSettings(
    String interpreter,
    Optional<String> script,
    Optional<String> className,
    Optional<String> transformer,
    Optional<String> transformerClass,
    Optional<String> config,
    Envelope envelope,
    InputsAs inputsAs,
    int concurrency,
    Duration startTimeout,
    Duration callTimeout,
    long memoryLimit,
    Map<String, String> environment,
    List<TensorSpec> inputs,
    List<TensorSpec> outputs) {

  static final String DEFAULT_INTERPRETER = "python3";
  private static final Duration DEFAULT_START_TIMEOUT = Duration.ofMinutes(5);
  private static final Duration DEFAULT_CALL_TIMEOUT = Duration.ofMinutes(2);

  /** What a transformer's methods get and give; see docs/python.md. */
  enum Envelope {
    /** As from Hopsworks 4.1 on: predictions go in and out of {@code postprocess} as such. */
    UNWRAPPED,
    /** As up to Hopsworks 4.0: whole bodies. */
    RAW
  }

  /** What {@code predict} gets of tensors. */
  enum InputsAs {
    /** Lists: the values of the only tensor, or a dict for each row. */
    ROWS,
    /** A dict of NumPy arrays. */
    TENSORS,
    /** An {@code InferRequest} of kserve's. */
    INFER_REQUEST
  }

  PythonSettings {
    environment = Map.copyOf(environment);
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
  }

  /**
   * Reads the section; of a transformer, {@code inputs} and {@code outputs} are unknown.
   *
   * @throws InferenceException INVALID_ARGUMENT if a key or value does not do
   */
  static PythonSettings read(Settings settings, boolean ofPredictor) {
    PythonSettings read =
        new PythonSettings(
            settings.string("interpreter").orElse(DEFAULT_INTERPRETER),
            settings.string("script"),
            settings.string("class"),
            ofPredictor ? settings.string("transformer") : Optional.empty(),
            ofPredictor ? settings.string("transformer-class") : Optional.empty(),
            settings.string("config-file"),
            settings.oneOf("envelope", Envelope.class).orElse(Envelope.UNWRAPPED),
            ofPredictor
                ? settings.oneOf("inputs-as", InputsAs.class).orElse(InputsAs.ROWS)
                : InputsAs.ROWS,
            settings.integer("concurrency", 1, 1024).orElse(1),
            positive(settings, "start-timeout").orElse(DEFAULT_START_TIMEOUT),
            positive(settings, "call-timeout").orElse(DEFAULT_CALL_TIMEOUT),
            settings.size("memory-limit").orElse(0L),
            environment(settings.section("environment")),
            ofPredictor ? specs(settings, "inputs") : List.of(),
            ofPredictor ? specs(settings, "outputs") : List.of());
    settings.rejectUnknown();
    return read;
  }

  private static Optional<Duration> positive(Settings settings, String key) {
    Optional<Duration> time = settings.duration(key);
    if (time.isPresent() && !time.get().isPositive()) {
      throw settings.bad(key, time.get(), "a time span longer than none, as in 30s");
    }
    return time;
  }

  private static Map<String, String> environment(Settings section) {
    Map<String, String> environment = new LinkedHashMap<>();
    for (String key : section.keys()) {
      section.string(key).ifPresent(value -> environment.put(key, value));
    }
    return environment;
  }

  private static List<TensorSpec> specs(Settings settings, String key) {
    List<TensorSpec> specs = new ArrayList<>();
    for (Settings section : settings.sections(key)) {
      TensorSpec spec =
          new TensorSpec(
              section
                  .string("name")
                  .filter(
                      name -> !name.isBlank() && name.chars().noneMatch(Character::isISOControl))
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
    try {
      return DataType.of(name.strip());
    } catch (InferenceException e) {
      throw section.bad("datatype", name, "one of " + List.of(DataType.values()));
    }
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
