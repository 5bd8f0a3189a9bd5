package dev.millrace.api;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Free keys and values on a request, a response or a tensor; immutable, in the client's order. A
 * value is a {@link String}, a {@link Boolean}, a {@link Long} (a uint64 above 2^63 wraps) or a
 * {@link Double}.
 */
public final class Parameters {
  private static final Parameters EMPTY = new Parameters(Map.of());

  private final Map<String, Object> values;

  private Parameters(Map<String, Object> values) {
    this.values = values;
  }

  public static Parameters empty() {
    return EMPTY;
  }

  /**
   * A copy of {@code values}; Integer, Short and Byte become Long, Float becomes Double.
   *
   * @throws InferenceException INVALID_ARGUMENT if a value is of another type
   */
  public static Parameters copyOf(Map<String, ?> values) {
    if (values.isEmpty()) {
      return EMPTY;
    }
    Map<String, Object> copy = new LinkedHashMap<>();
    values.forEach((key, value) -> copy.put(key, checked(key, value)));
    return new Parameters(Collections.unmodifiableMap(copy));
  }

  private static Object checked(String key, @Nullable Object value) {
    return switch (value) {
      case String text -> text;
      case Boolean flag -> flag;
      case Long number -> number;
      case Double number -> number;
      case Integer number -> number.longValue();
      case Short number -> number.longValue();
      case Byte number -> number.longValue();
      case Float number -> number.doubleValue();
      case null, default ->
          throw InferenceException.invalidArgument(
              "parameter '%s' must be a string, a boolean or a number".formatted(key));
    };
  }

  /** The keys and values, unmodifiable. */
  public Map<String, Object> asMap() {
    return values;
  }

  public boolean isEmpty() {
    return values.isEmpty();
  }

  /**
   * The text under {@code key}.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is a value of another type
   */
  public Optional<String> string(String key) {
    return Optional.ofNullable(get(key, String.class, "string_param"));
  }

  /**
   * The whole number under {@code key}.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is a value of another type
   */
  public Optional<Long> integer(String key) {
    return Optional.ofNullable(get(key, Long.class, "int64_param"));
  }

  /**
   * The truth value under {@code key}.
   *
   * @throws InferenceException INVALID_ARGUMENT if there is a value of another type
   */
  public Optional<Boolean> bool(String key) {
    return Optional.ofNullable(get(key, Boolean.class, "bool_param"));
  }

  private <T> @Nullable T get(String key, Class<T> type, String expected) {
    Object value = values.get(key);
    if (value == null || type.isInstance(value)) {
      return type.cast(value);
    }
    throw InferenceException.invalidArgument(
        "invalid value type for '%s' parameter, expected %s.".formatted(key, expected));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Parameters parameters && values.equals(parameters.values);
  }

  @Override
  public int hashCode() {
    return values.hashCode();
  }

  @Override
  public String toString() {
    return values.toString();
  }
}
