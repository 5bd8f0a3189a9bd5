package dev.millrace.server;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.Settings;
import dev.millrace.api.spi.Backend;
import dev.millrace.api.spi.TransformerFactory;
import dev.millrace.runtime.Plugins;
import dev.millrace.server.log.LogLevel;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Runs one command: {@code serve}, {@code inspect} or {@code version}. */
final class CommandLineInterface {
  private static final Logger log = LoggerFactory.getLogger(CommandLineInterface.class);

  /** All went well. */
  static final int OK = 0;

  /** The start failed. */
  static final int FAILED = 1;

  /** Flags or configuration are wrong. */
  static final int USAGE = 2;

  private final Environment environment;
  private final PrintStream out;
  private final PrintStream err;
  private final Supplier<Plugins> plugins;
  private final Supplier<StopSignal> signals;

  /** A command line with the backends that are installed, and the signals of the process. */
  CommandLineInterface(Map<String, String> variables, PrintStream out, PrintStream err) {
    this(variables, out, err, CommandLineInterface::installed, StopSignal::install);
  }

  CommandLineInterface(
      Map<String, String> variables,
      PrintStream out,
      PrintStream err,
      Supplier<Plugins> plugins,
      Supplier<StopSignal> signals) {
    this.environment = new Environment(variables);
    this.out = out;
    this.err = err;
    this.plugins = plugins;
    this.signals = signals;
  }

  private static Plugins installed() {
    String home = System.getProperty("millrace.home");
    return home == null
        ? Plugins.onClassPath()
        : Plugins.inDirectory(Path.of(home, "backends"))
            .and(Plugins.inFolder(Path.of(home, "transformers")))
            .and(Plugins.inFolder(Path.of(home, "logger")))
            .and(Plugins.inDirectory(Path.of(home, "extensions")));
  }

  /** Runs the command that {@code raw} spells, and returns the exit code. */
  int run(List<String> raw) {
    // Until the settings are known: Logback's own default shows everything.
    Logging.configure(LogLevel.WARN, LogFormat.TEXT);
    CommandLine commandLine = new CommandLine(CommandSpecs.millrace());
    Set<String> flags = new HashSet<>();
    commandLine
        .getSubcommands()
        .values()
        .forEach(command ->
            command.getCommandSpec().options().stream()
                .filter(option -> option.arity().max() > 0)
                .forEach(option -> flags.addAll(List.of(option.names()))));
    Arguments arguments = Arguments.of(raw, flags);
    try {
      ParseResult result = commandLine.parseArgs(arguments.list().toArray(String[]::new));
      while (result.hasSubcommand()) {
        if (result.isUsageHelpRequested()) {
          break;
        }
        result = result.subcommand();
      }
      return run(result, arguments.warnings());
    } catch (UnmatchedArgumentException e) {
      return fail(USAGE, unmatched(e));
    } catch (ParameterException e) {
      return fail(USAGE, String.valueOf(e.getMessage()));
    } catch (InferenceException e) {
      debug(e);
      return fail(e.code() == ErrorCode.INVALID_ARGUMENT ? USAGE : FAILED, e.getMessage());
    } catch (RuntimeException e) {
      debug(e);
      return fail(FAILED, "unexpected failure: " + e);
    }
  }

  private int run(ParseResult result, List<String> warnings) {
    CommandLine command = result.commandSpec().commandLine();
    if (result.isUsageHelpRequested()) {
      command.usage(out);
      return OK;
    }
    if (result.isVersionHelpRequested()) {
      return version();
    }
    return switch (result.commandSpec().name()) {
      case "serve" -> serve(result, warnings);
      case "inspect" -> inspect(result, warnings);
      case "version" -> version();
      default -> {
        command.usage(err);
        yield fail(USAGE, "no command given: serve, inspect or version");
      }
    };
  }

  private int serve(ParseResult result, List<String> warnings) {
    Configuration configuration = configuration(result);
    Logging.configure(
        configuration.get(ServerSettings.LOG_LEVEL), configuration.get(ServerSettings.LOG_FORMAT));
    log.info("Millrace {} on Java {}", Version.text(), System.getProperty("java.version"));
    warnings.forEach(log::warn);
    configuration.warnings().forEach(log::warn);
    configuration.file().ifPresent(file -> log.info("Configuration file: {}", file));
    environment.platform().ifPresent(facts -> log.info("Platform: {}", facts));
    configuration.describe().forEach(log::info);
    ServerConfig config = new ConfigurationReader(configuration).server();
    TerminationLog terminationLog =
        new TerminationLog(Path.of(configuration.get(ServerSettings.TERMINATION_LOG)));
    try {
      new ServeCommand(config, plugins.get(), signals.get()).run();
      return OK;
    } catch (StartException e) {
      debug(e);
      terminationLog.write(e.reason());
      return fail(FAILED, e.reason());
    }
  }

  private int inspect(ParseResult result, List<String> warnings) {
    Configuration configuration = configuration(result);
    LogLevel level = configuration.find(ServerSettings.LOG_LEVEL).orElse(LogLevel.WARN);
    Logging.configure(level, configuration.get(ServerSettings.LOG_FORMAT));
    warnings.forEach(warning -> err.println("millrace: " + warning));
    configuration.warnings().forEach(warning -> err.println("millrace: " + warning));
    ConfigurationReader reader = new ConfigurationReader(configuration);
    try {
      new InspectCommand(
              reader.runtime(), configuration.get(ServerSettings.HTTP_PORT), plugins.get(), out)
          .run();
      return OK;
    } catch (StartException e) {
      debug(e);
      return fail(FAILED, e.reason());
    }
  }

  private int version() {
    out.printf("millrace %s%n", Version.text());
    out.printf(
        "Java %s (%s), %s %s%n",
        System.getProperty("java.version"),
        System.getProperty("java.vendor"),
        System.getProperty("os.name"),
        System.getProperty("os.arch"));
    Plugins installed = plugins.get();
    for (Backend backend : installed.backends()) {
      out.printf("backend %s: %s on %s%n", backend.name(), backend.modelFiles(), backend.devices());
    }
    if (!installed.transformers().isEmpty()) {
      out.printf(
          "transformers: %s%n",
          installed.transformers().stream()
              .map(TransformerFactory::name)
              .sorted()
              .collect(Collectors.joining(", ")));
    }
    return OK;
  }

  private Configuration configuration(ParseResult result) {
    Map<String, Object> flags = new HashMap<>();
    for (OptionSpec option : result.matchedOptions()) {
      String value = option.getValue();
      if (value != null) {
        flags.put(option.longestName().substring(2), value);
      }
    }
    List<String> models = result.matchedPositionalValue(0, List.of());
    if (!models.isEmpty()) {
      flags.put(ServerSettings.MODEL.key(), models);
    }
    Optional<String> file = Optional.ofNullable((String) flags.remove(CommandSpecs.CONFIG));
    return Configuration.resolve(flags, file, environment);
  }

  private static String unmatched(UnmatchedArgumentException e) {
    String argument = e.getUnmatched().getFirst();
    Set<String> known = new HashSet<>(e.getCommandLine().getCommandSpec().optionsMap().keySet());
    if (!argument.startsWith("-")) {
      known = e.getCommandLine().getSubcommands().keySet();
      return "unknown command '%s'%s".formatted(argument, suggestion(argument, known));
    }
    int equals = argument.indexOf('=');
    String flag = equals < 0 ? argument : argument.substring(0, equals);
    return "unknown flag '%s'%s".formatted(flag, suggestion(flag, known));
  }

  private static String suggestion(String word, Set<String> known) {
    return Settings.nearest(word, known)
        .map(nearest -> "; did you mean '" + nearest + "'?")
        .orElse("; see millrace --help");
  }

  /** The whole story, for who asks for it by --log-level=debug. */
  private static void debug(Exception failure) {
    log.debug("The command failed", failure);
  }

  /** One line for people; a stack trace is in the log at most. */
  private int fail(int code, String message) {
    err.println("millrace: " + message.replaceAll("\\s*\\R\\s*", " "));
    return code;
  }
}
