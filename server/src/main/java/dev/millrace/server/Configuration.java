package dev.millrace.server;

import dev.millrace.api.Settings;
import dev.millrace.runtime.YamlFile;
import dev.millrace.server.Environment.PlatformDefault;
import dev.millrace.server.Setting.Group;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What is configured, after flags, environment, file and platform are laid over each other. Every
 * value in every layer is checked, also one that another hides.
 */
final class Configuration {
  private static final Path DEFAULT_FILE = Path.of("millrace.yaml");

  private final Map<Setting<?>, Value> values;
  private final Environment environment;
  private final Optional<Path> file;

  private Configuration(
      Map<Setting<?>, Value> values, Environment environment, Optional<Path> file) {
    this.values = values;
    this.environment = environment;
    this.file = file;
  }

  /**
   * A value that somebody gave.
   *
   * @param origin who, for people
   * @param platform whether it is a default that the platform gives, not a person's word
   */
  private record Value(Object value, String origin, boolean platform) {}

  /**
   * Lays the layers over each other.
   *
   * @param flags values by setting's key
   * @param configFile the file that the flags name
   * @throws dev.millrace.api.InferenceException INVALID_ARGUMENT that names source, key and value
   */
  static Configuration resolve(
      Map<String, Object> flags, Optional<String> configFile, Environment environment) {
    Map<Setting<?>, Value> values = new HashMap<>();
    Map<String, Object> byFlag = new HashMap<>();
    flags.forEach((key, value) -> byFlag.put("--" + key, value));
    Settings commandLine = Settings.of("command line", byFlag);
    Settings variables = environment.settings();
    Optional<Path> file =
        configFile
            .or(environment::configFile)
            .map(Path::of)
            .or(() -> Optional.of(DEFAULT_FILE).filter(Files::isRegularFile));
    Settings yaml = file.map(YamlFile::read).orElseGet(() -> Settings.empty("no file"));
    Map<Setting<?>, PlatformDefault> platform = environment.platformDefaults();
    for (Setting<?> setting : ServerSettings.ALL) {
      Value fromPlatform = null;
      PlatformDefault fallback = platform.get(setting);
      if (fallback != null) {
        Settings settings = Settings.of("environment", Map.of(fallback.origin(), fallback.value()));
        fromPlatform = read(setting, settings, fallback.origin(), fallback.origin(), true);
      }
      Value fromFile = read(setting, yaml, setting.key(), yaml.source(), false);
      Value fromVariable = read(setting, variables, setting.variable(), setting.variable(), false);
      Value fromFlag = read(setting, commandLine, setting.flag(), setting.flag(), false);
      for (Value value : new @Nullable Value[] {fromFlag, fromVariable, fromFile, fromPlatform}) {
        if (value != null) {
          values.put(setting, value);
          break;
        }
      }
    }
    yaml.rejectUnknown();
    return new Configuration(values, environment, file);
  }

  private static @Nullable Value read(
      Setting<?> setting, Settings settings, String label, String origin, boolean platform) {
    Optional<?> value = setting.type().reader().apply(settings, label);
    return value.isPresent() ? new Value(value.get(), origin, platform) : null;
  }

  /** What somebody said of the setting. */
  @SuppressWarnings("unchecked") // resolve() put there what the setting's own reader returned
  <T> Optional<T> find(Setting<T> setting) {
    return Optional.ofNullable(values.get(setting)).map(value -> (T) value.value());
  }

  /** What holds for the setting, which is one with a fixed default. */
  <T> T get(Setting<T> setting) {
    return find(setting).orElseGet(setting::requiredFallback);
  }

  /** Whether a platform's default, rather than a person, set this. */
  boolean isPlatformDefault(Setting<?> setting) {
    Value value = values.get(setting);
    return value != null && value.platform();
  }

  /** Lines about what was ignored. */
  List<String> warnings() {
    return environment.warnings();
  }

  /** The environment variables, of which settings are a part. */
  Environment environment() {
    return environment;
  }

  /** The file that was read. */
  Optional<Path> file() {
    return file;
  }

  /** What holds, a line for each group; who said it stands behind what is not a default. */
  List<String> describe() {
    List<String> lines = new ArrayList<>();
    for (Group group : Group.values()) {
      StringBuilder line = new StringBuilder();
      for (Setting<?> setting : ServerSettings.ALL) {
        if (setting.group() == group) {
          describe(setting).ifPresent(text -> line.append(' ').append(text));
        }
      }
      if (!line.isEmpty()) {
        lines.add(group.title() + ":" + line);
      }
    }
    return lines;
  }

  private <T> Optional<String> describe(Setting<T> setting) {
    Value given = values.get(setting);
    return find(setting)
        .or(setting::fallback)
        .map(value ->
            setting.key()
                + "="
                + setting.type().writer().apply(value)
                + (given == null ? "" : " (" + given.origin() + ")"));
  }
}
