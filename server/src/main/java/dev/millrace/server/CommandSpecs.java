package dev.millrace.server;

import dev.millrace.server.Setting.Group;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/** The commands and their flags, made from the table of settings. */
final class CommandSpecs {
  static final String CONFIG = "config";

  private CommandSpecs() {}

  static CommandSpec millrace() {
    CommandSpec millrace =
        CommandSpec.create()
            .name("millrace")
            .addOption(
                OptionSpec.builder("-V", "--version")
                    .type(boolean.class)
                    .versionHelp(true)
                    .description("Print the version.")
                    .build())
            .addOption(help())
            .addSubcommand("serve", serve())
            .addSubcommand("inspect", inspect())
            .addSubcommand("version", version());
    millrace
        .usageMessage()
        .description("Serves models over REST and gRPC.")
        .synopsisSubcommandLabel("COMMAND");
    return millrace;
  }

  private static CommandSpec serve() {
    CommandSpec serve = withSettings("serve", EnumSet.allOf(Group.class));
    usage(
        serve,
        "Serves models until it is told to stop.",
        "",
        "Each flag can also be given as an environment variable, as in MILLRACE_HTTP_PORT, or in"
            + " the configuration file, as in http-port: 8080. Flags win over the environment, that"
            + " over the file, that over a model's own model.yaml. Sizes and times have units, as"
            + " in 64MB and 10ms. KServe's spellings, as in --http_port, are understood.",
        "",
        "Examples:",
        "  millrace serve model.onnx",
        "  millrace serve --http-port 9000 path/to/repository",
        "  millrace serve --model_name=mnist --model_dir=/mnt/models",
        "",
        "Exit codes: 0 after SIGTERM or SIGINT, 1 if the start failed, 2 if flags or configuration"
            + " are wrong.");
    return serve;
  }

  private static CommandSpec inspect() {
    CommandSpec inspect = withSettings("inspect", EnumSet.of(Group.MODELS, Group.MODEL));
    usage(
        inspect,
        "Shows a model's inputs and outputs, and a request for it that can be pasted into a shell.",
        "",
        "Example:",
        "  millrace inspect model.onnx");
    return inspect;
  }

  private static CommandSpec version() {
    CommandSpec version = CommandSpec.create().name("version").addOption(help());
    version.usageMessage().description("Shows the version of Millrace, of Java and the backends.");
    return version;
  }

  private static void usage(CommandSpec command, String description, String... footer) {
    UsageMessageSpec usage = command.usageMessage();
    usage.description(description).footer(footer).width(100).abbreviateSynopsis(true);
    usage.sortOptions(false);
  }

  /** A command with all settings for flags, of which it shows those of some groups. */
  private static CommandSpec withSettings(String name, Set<Group> shown) {
    CommandSpec command = CommandSpec.create().name(name);
    command.parser().overwrittenOptionsAllowed(true);
    command.addPositional(
        PositionalParamSpec.builder()
            .index("0..*")
            .arity("0..*")
            .paramLabel("MODEL")
            .type(List.class)
            .auxiliaryTypes(String.class)
            .description("Model file, directory with one model, or repository of models.")
            .build());
    command.addOption(help());
    command.addOption(
        text(
            CONFIG,
            "file",
            false,
            "Configuration file. Default: millrace.yaml in the working directory, if there is"
                + " one."));
    for (Group group : Group.values()) {
      ArgGroupSpec.Builder flags =
          ArgGroupSpec.builder().heading("%n" + group.title() + ":%n").validate(false);
      boolean any = false;
      for (Setting<?> setting : ServerSettings.ALL) {
        if (setting.group() != group) {
          continue;
        }
        boolean hidden = !shown.contains(group) || setting.equals(ServerSettings.MODEL);
        String description =
            "%s Default: %s.".formatted(setting.description(), setting.fallbackText());
        OptionSpec option = text(setting.key(), setting.type().label(), hidden, plain(description));
        if (hidden) {
          command.addOption(option);
        } else {
          flags.addArg(option);
          any = true;
        }
      }
      if (any) {
        command.addArgGroup(flags.build());
      }
    }
    return command;
  }

  private static OptionSpec help() {
    return OptionSpec.builder("-h", "--help")
        .type(boolean.class)
        .usageHelp(true)
        .description("Print this help.")
        .build();
  }

  private static OptionSpec text(String key, String label, boolean hidden, String description) {
    return OptionSpec.builder("--" + key)
        .type(String.class)
        .arity("1")
        .paramLabel("<" + label + ">")
        .hidden(hidden)
        .description(description)
        .build();
  }

  /** Markdown to text, and safe in a format string. */
  private static String plain(String markdown) {
    return markdown.replace("`", "").replace("%", "%%");
  }
}
