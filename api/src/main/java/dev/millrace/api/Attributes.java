package dev.millrace.api;

import static java.util.Objects.requireNonNull;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Values by typed keys; immutable. Made for the few values that the parts of a server leave with a
 * request for each other, as a transformer does for its own second half: looking up is a linear
 * search. Values are on the heap; nobody closes them.
 */
public final class Attributes {
  private static final Attributes EMPTY = new Attributes(null, null, null);

  private final @Nullable Attributes rest;
  private final @Nullable Key<?> key;
  private final @Nullable Object value;

  private Attributes(@Nullable Attributes rest, @Nullable Key<?> key, @Nullable Object value) {
    this.rest = rest;
    this.key = key;
    this.value = value;
  }

  public static Attributes empty() {
    return EMPTY;
  }

  /** These values and one more, which hides an earlier one under the same key. */
  public <T> Attributes with(Key<T> name, T added) {
    return new Attributes(this, requireNonNull(name), name.type.cast(requireNonNull(added)));
  }

  /** The value under {@code name}. */
  public <T> Optional<T> get(Key<T> name) {
    for (Attributes current = this; current != null; current = current.rest) {
      if (current.key == name) {
        return Optional.of(name.type.cast(requireNonNull(current.value)));
      }
    }
    return Optional.empty();
  }

  /** What a value is found by: the very key that it was left under. */
  public static final class Key<T> {
    private final String name;
    private final Class<T> type;

    private Key(String name, Class<T> type) {
      this.name = requireNonNull(name);
      this.type = requireNonNull(type);
    }

    /**
     * A key that equals no other.
     *
     * @param name for people
     */
    public static <T> Key<T> of(String name, Class<T> type) {
      return new Key<>(name, type);
    }

    @Override
    public String toString() {
      return name;
    }
  }
}
