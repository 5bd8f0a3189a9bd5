package dev.millrace.backend.pytorch;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The text of a script, as its archive has it: every class in the form that PyTorch prints it, one
 * statement a line, operators as functions.
 *
 * @param rootClass the module's class with its package, as in {@code __torch__.Net}
 * @param files texts by name, as in {@code code/__torch__.py}
 */
record ScriptCode(Optional<String> rootClass, Map<String, String> files) {
  /**
   * What may write to a tensor: a function whose name ends in a single underscore, a result written
   * in place, an operator that is not PyTorch's own.
   */
  private static final Pattern SIDE_EFFECT =
      Pattern.compile("\\btorch\\.\\w*[a-zA-Z0-9]_\\(|\\bout=|\\bops\\.(?!prim\\.)");

  private static final Pattern CHANGED_ATTRIBUTE = Pattern.compile("(?m)^\\s*\\w+(?:\\.\\w+)+ = ");

  private static final Pattern CHANGED_CONTAINER =
      Pattern.compile("\\btorch\\.(?:append|extend|insert|_set_item|update|setdefault)\\(");

  private static final Pattern DIVISION =
      Pattern.compile("\\btorch\\.(?:div|divide|floor_divide|floordiv|remainder|fmod)_?\\(");

  /** A container that belongs to a module, in the lines that declare its attributes. */
  private static final Pattern CONTAINER_ATTRIBUTE =
      Pattern.compile("(?m)^ {2}\\w+ : (?:List|Dict)\\[");

  ScriptCode {
    files = Map.copyOf(files);
  }

  /**
   * Whether running the script surely leaves its inputs as they are and keeps none of them. What is
   * called a side effect here may be harmless; it is not looked into.
   */
  boolean isPure() {
    return !files.isEmpty()
        && !has(SIDE_EFFECT)
        && !has(CHANGED_ATTRIBUTE)
        && !has(CHANGED_CONTAINER);
  }

  /**
   * Whether running the script may change its module, so that only one thread may at a time.
   * Tensors written in place do not count: they stay where they are.
   */
  boolean isStateful() {
    return files.isEmpty()
        || has(CHANGED_ATTRIBUTE)
        || (has(CHANGED_CONTAINER) && has(CONTAINER_ATTRIBUTE));
  }

  /** Whether the script may divide whole numbers. */
  boolean divides() {
    return files.isEmpty() || has(DIVISION);
  }

  private boolean has(Pattern pattern) {
    return files.values().stream().anyMatch(text -> pattern.matcher(text).find());
  }

  /** The arguments of {@code forward} in their order; empty if the text does not tell. */
  Optional<List<Argument>> arguments() {
    return rootClass.flatMap(this::forwardOf).flatMap(ScriptCode::parse);
  }

  /** What stands between the parentheses of the class's {@code forward}. */
  private Optional<String> forwardOf(String className) {
    int dot = Math.max(0, className.lastIndexOf('.'));
    String text = files.get("code/" + className.substring(0, dot).replace('.', '/') + ".py");
    if (text == null) {
      return Optional.empty();
    }
    Matcher definition =
        Pattern.compile(
                "(?ms)^class "
                    + Pattern.quote(className.substring(className.lastIndexOf('.') + 1))
                    + "\\(Module\\):$(.*?)(?=^\\S|\\z)")
            .matcher(text);
    if (!definition.find()) {
      return Optional.empty();
    }
    Matcher forward =
        Pattern.compile("(?s)\\n {2}def forward\\((.*?)\\)(?: -> .*?)?:\\n")
            .matcher(definition.group(1));
    return forward.find() ? Optional.of(forward.group(1)) : Optional.empty();
  }

  /** Arguments after the first, which is the module itself. */
  private static Optional<List<Argument>> parse(String text) {
    List<Argument> arguments = new ArrayList<>();
    List<String> parts = split(text);
    for (String part : parts.subList(Math.min(1, parts.size()), parts.size())) {
      Matcher matcher = Pattern.compile("(?s)\\s*(\\w+): (.+?)\\s*(=.*)?").matcher(part);
      if (!matcher.matches()) {
        return Optional.empty();
      }
      arguments.add(new Argument(matcher.group(1), matcher.group(2), matcher.group(3) != null));
    }
    return Optional.of(List.copyOf(arguments));
  }

  /** Parts between commas that are not inside brackets. */
  private static List<String> split(String text) {
    List<String> parts = new ArrayList<>();
    int depth = 0;
    int start = 0;
    for (int i = 0; i < text.length(); i++) {
      switch (text.charAt(i)) {
        case '[', '(', '{' -> depth++;
        case ']', ')', '}' -> depth--;
        case ',' -> {
          if (depth == 0) {
            parts.add(text.substring(start, i));
            start = i + 1;
          }
        }
        default -> {}
      }
    }
    parts.add(text.substring(start));
    return parts;
  }
}
