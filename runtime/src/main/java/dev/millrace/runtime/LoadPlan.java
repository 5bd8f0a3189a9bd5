package dev.millrace.runtime;

import dev.millrace.api.ModelId;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.Backend;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * How one version is to be loaded.
 *
 * @param path what the backend found
 * @param options from all sources, the stronger over the weaker
 * @param engine the backend's own section
 * @param transformers what stands around the model
 * @param directories where files that they name are looked for
 */
record LoadPlan(
    ModelId id,
    Backend backend,
    Path path,
    ModelOptions options,
    Map<String, String> properties,
    Settings engine,
    List<TransformerConfig> transformers,
    List<Path> directories) {}
