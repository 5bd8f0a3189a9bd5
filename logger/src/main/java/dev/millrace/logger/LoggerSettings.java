package dev.millrace.logger;

import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * What a logger is made from, beside what its sink reads.
 *
 * @param sink {@code sink}: kafka, http, file, stdout, or another that is installed
 * @param models how the records of a model are treated that says nothing itself
 * @param bufferBytes {@code buffer}: memory for records and messages, for each of the two promises
 * @param spool {@code spool}: the directory for what is promised; needed for at-least-once
 * @param spoolBytes {@code spool-size}
 * @param spoolSync {@code spool-sync}: always, never, or a time
 * @param schemaRegistry {@code schema-registry}: where the schema of the Hopsworks formats is
 * @param schemaHeader {@code schema-header}: whether their values begin with the schema's number
 * @param schemaId {@code schema-id}: that number, if the registry is not asked; negative for none
 */
record LoggerSettings(
    String sink,
    ModelSettings models,
    long bufferBytes,
    Optional<Path> spool,
    long spoolBytes,
    Spool.Sync spoolSync,
    Optional<URI> schemaRegistry,
    boolean schemaHeader,
    int schemaId,
    Deployment deployment) {

  static LoggerSettings read(Settings settings, Map<String, String> environment) {
    String sink = settings.string("sink").orElse("file");
    boolean hopsworks = environment.containsKey("DEPLOYMENT_NAME");
    MessageFormat format =
        switch (sink) {
          case "kafka" -> hopsworks ? MessageFormat.HOPSWORKS_V4 : MessageFormat.CLOUDEVENTS;
          case "http" -> MessageFormat.CLOUDEVENTS;
          default -> MessageFormat.JSON;
        };
    format = settings.oneOf("format", MessageFormat.class).orElse(format);
    LoggerSettings read =
        new LoggerSettings(
            sink,
            ModelSettings.defaults(format).with(settings),
            settings.size("buffer").orElse(64L << 20),
            settings.string("spool").map(Path::of),
            settings.size("spool-size").orElse(1L << 30),
            settings
                .string("spool-sync")
                .map(text -> sync(settings, text))
                .orElse(Spool.Sync.NEVER),
            settings.string("schema-registry").map(text -> address(settings, text)),
            settings.bool("schema-header").orElse(false),
            settings.integer("schema-id", 0, Integer.MAX_VALUE).orElse(-1),
            Deployment.read(settings, environment));
    if (read.bufferBytes < 64 << 10) {
      throw settings.bad("buffer", read.bufferBytes, "at least 64KB");
    }
    if (read.spoolBytes < 64 << 10) {
      throw settings.bad("spool-size", read.spoolBytes, "at least 64KB");
    }
    read.check(read.models);
    return read;
  }

  private static Spool.Sync sync(Settings settings, String text) {
    return switch (text.strip().toLowerCase(Locale.ROOT)) {
      case "always" -> Spool.Sync.ALWAYS;
      case "never" -> Spool.Sync.NEVER;
      default ->
          new Spool.Sync(
              Settings.parseDuration(text)
                  .filter(Duration::isPositive)
                  .orElseThrow(
                      () -> settings.bad("spool-sync", text, "always, never or a time, as in 1s")));
    };
  }

  private static URI address(Settings settings, String text) {
    try {
      URI address = URI.create(text);
      if (address.getHost() != null) {
        return address;
      }
    } catch (IllegalArgumentException e) {
      throw settings.bad("schema-registry", text, "an address, as in http://host:8081");
    }
    throw settings.bad("schema-registry", text, "an address, as in http://host:8081");
  }

  /**
   * Refuses settings of a model that do not go with these.
   *
   * @throws InferenceException INVALID_ARGUMENT
   */
  void check(ModelSettings model) {
    model.check();
    if (model.delivery() == Delivery.AT_LEAST_ONCE && spool.isEmpty()) {
      throw InferenceException.invalidArgument(
          "the logger's delivery 'at-least-once' needs the setting logger-spool, a directory that outlives"
              + " the process");
    }
    if ((sink.equals("file") || sink.equals("stdout")) && !model.format().isLine()) {
      throw InferenceException.invalidArgument(
          "the logger's sink '%s' takes lines of text: format json or cloudevents-structured, not %s"
              .formatted(sink, ModelSettings.spelled(model.format())));
    }
  }
}
