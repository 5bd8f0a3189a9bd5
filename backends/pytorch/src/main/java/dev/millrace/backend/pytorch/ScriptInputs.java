package dev.millrace.backend.pytorch;

import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Which named input is which argument of a script.
 *
 * <p>Declared names are matched as Triton does: by the names of the arguments, else by the number
 * after the last {@code __}, else by their order. A client of a model that declares none uses the
 * names of the arguments, or {@code INPUT__0}, {@code INPUT__1} and so on.
 */
final class ScriptInputs {
  private static final String POSITIONAL = "INPUT";

  /** The names of the arguments by position; the last ones of a script may not be served. */
  private final List<String> names;

  /** How many of the first arguments have to be given. */
  private final int required;

  /** Whether more arguments than are known may be given. */
  private final boolean open;

  private final List<TensorSpec> specs;

  /** The position of each declared input. */
  private final int[] positions;

  private ScriptInputs(
      List<String> names, int required, boolean open, List<TensorSpec> specs, int[] positions) {
    this.names = names;
    this.required = required;
    this.open = open;
    this.specs = specs;
    this.positions = positions;
  }

  /**
   * The inputs of a script.
   *
   * @param arguments of the script, if its file tells
   * @param declared by the configuration; may be empty
   * @throws InferenceException FAILED_PRECONDITION if the script takes what is no tensor,
   *     INVALID_ARGUMENT if the declaration does not fit it
   */
  static ScriptInputs of(Optional<List<Argument>> arguments, List<TensorSpec> declared) {
    if (arguments.isEmpty()) {
      return declared.isEmpty()
          ? new ScriptInputs(List.of(), 0, true, List.of(), new int[0])
          : declared(declared, NamePositions.of(declared, List.of()), List.of());
    }
    List<Argument> served = served(arguments.get());
    if (declared.isEmpty()) {
      int required = (int) served.stream().filter(argument -> !argument.optional()).count();
      List<String> names = served.stream().map(Argument::name).toList();
      return new ScriptInputs(names, required, false, List.of(), new int[0]);
    }
    List<String> names = served.stream().map(Argument::name).toList();
    return declared(declared, NamePositions.of(declared, names), served);
  }

  /** The first arguments, as far as they are tensors. */
  private static List<Argument> served(List<Argument> arguments) {
    List<Argument> served = new ArrayList<>();
    for (Argument argument : arguments) {
      if (!argument.isTensor()) {
        break;
      }
      served.add(argument);
    }
    for (Argument argument : arguments.subList(served.size(), arguments.size())) {
      if (!argument.optional()) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "forward takes '%s: %s', and only tensors can be given to it"
                .formatted(argument.name(), argument.type()));
      }
    }
    return served;
  }

  private static ScriptInputs declared(
      List<TensorSpec> declared, int[] positions, List<Argument> served) {
    int count = served.isEmpty() ? declared.size() : served.size();
    String[] names = new String[count];
    for (int i = 0; i < served.size(); i++) {
      names[i] = served.get(i).name();
    }
    boolean[] taken = new boolean[count];
    List<TensorSpec> specs = new ArrayList<>();
    for (int i = 0; i < positions.length; i++) {
      TensorSpec spec = declared.get(i);
      int position = positions[i];
      if (position >= count || taken[position]) {
        throw InferenceException.invalidArgument(
            "input '%s' is declared, but the script's arguments are %s"
                .formatted(
                    spec.name(),
                    served.isEmpty()
                        ? "numbered up to " + (count - 1)
                        : served.stream().map(Argument::name).toList()));
      }
      taken[position] = true;
      names[position] = spec.name();
      boolean optional = !served.isEmpty() && served.get(position).optional();
      specs.add(new TensorSpec(spec.name(), spec.dataType(), spec.shape(), optional));
    }
    int required = 0;
    for (int position = 0; position < count; position++) {
      if (served.isEmpty() || !served.get(position).optional()) {
        required = position + 1;
        if (!taken[position]) {
          throw InferenceException.invalidArgument(
              "the script's argument '%s' is not among the declared inputs %s"
                  .formatted(names[position], declared.stream().map(TensorSpec::name).toList()));
        }
      }
    }
    return new ScriptInputs(
        Arrays.stream(names).map(String::valueOf).toList(), required, false, specs, positions);
  }

  /** What is declared of the inputs; empty if the datatypes are left open. */
  List<TensorSpec> specs() {
    return specs;
  }

  /** The names of the arguments that can be given; empty if they are not known. */
  List<String> names() {
    return names;
  }

  /**
   * For each argument to be given, the index in {@code inputs} of its tensor.
   *
   * @throws InferenceException INVALID_ARGUMENT if a name is unknown, or one is missing
   */
  int[] order(TensorMap inputs) {
    int[] order = new int[inputs.size()];
    Arrays.fill(order, -1);
    for (int i = 0; i < inputs.size(); i++) {
      int position = position(inputs.name(i));
      if (position < 0) {
        throw InferenceException.invalidArgument(
            "unexpected inference input '%s', expected %s".formatted(inputs.name(i), expected()));
      }
      if (position >= order.length) {
        throw missing(inputs, order, position);
      }
      if (order[position] >= 0) {
        throw InferenceException.invalidArgument(
            "inputs '%s' and '%s' are the same argument"
                .formatted(inputs.name(order[position]), inputs.name(i)));
      }
      order[position] = i;
    }
    if (order.length < required) {
      throw missing(inputs, order, order.length);
    }
    return order;
  }

  /** The arguments before {@code end} that no input is for, one of which is missing. */
  private InferenceException missing(TensorMap inputs, int[] order, int end) {
    for (int i = 0; i < Math.min(end, order.length); i++) {
      boolean given = false;
      for (int j = 0; j < inputs.size(); j++) {
        given |= position(inputs.name(j)) == i;
      }
      if (!given) {
        return InferenceException.invalidArgument("input '%s' is missing".formatted(name(i)));
      }
    }
    return InferenceException.invalidArgument(
        "input '%s' is missing".formatted(name(Math.min(end, order.length))));
  }

  private String name(int position) {
    return position < names.size() ? names.get(position) : POSITIONAL + "__" + position;
  }

  private String expected() {
    return open ? "INPUT__0, INPUT__1 and so on" : "one of " + names;
  }

  private int position(String name) {
    for (int i = 0; i < specs.size(); i++) {
      if (specs.get(i).name().equals(name)) {
        return positions[i];
      }
    }
    if (!specs.isEmpty()) {
      return -1;
    }
    int position = names.indexOf(name);
    if (position >= 0) {
      return position;
    }
    position = NamePositions.numberOf(name, POSITIONAL);
    return open || position < names.size() ? position : -1;
  }
}
