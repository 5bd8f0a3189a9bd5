package dev.millrace.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class ShapeTest {
  @Test
  void scalar_hasOneElement() {
    assertThat(Shape.scalar().elementCount()).isEqualTo(1);
    assertThat(Shape.of()).isEqualTo(Shape.scalar());
  }

  @Test
  void zeroDimension_makesNoElements() {
    assertThat(Shape.of(3, 0, Long.MAX_VALUE, Long.MAX_VALUE).elementCount()).isZero();
  }

  @Test
  void elementCount_thatOverflows_isRefused() {
    assertThatThrownBy(() -> Shape.of(1L << 32, 1L << 31))
        .isInstanceOf(InferenceException.class)
        .hasMessageContaining("more elements than can be addressed");
    assertThat(Shape.of(1L << 32, (1L << 31) - 1).elementCount()).isPositive();
  }

  @Test
  void negativeDimension_isRefused() {
    assertThatThrownBy(() -> Shape.of(2, -2)).hasMessage("shape [2, -2] has a negative dimension");
  }

  @Test
  void rank_beyondTheLimit_isRefused() {
    assertThatThrownBy(() -> Shape.of(new long[65])).hasMessageContaining("at most 64 dimensions");
  }

  @Test
  void dynamicShape_acceptsAnySizeThere() {
    Shape spec = Shape.of(-1, 16);
    assertThat(spec.isConcrete()).isFalse();
    assertThat(spec.accepts(Shape.of(7, 16))).isTrue();
    assertThat(spec.accepts(Shape.of(7, 17))).isFalse();
    assertThat(spec.accepts(Shape.of(16))).isFalse();
    assertThatThrownBy(spec::elementCount).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void sameRows_ignoresTheFirstDimensionOnly() {
    assertThat(Shape.of(1, 4, 2).sameRows(Shape.of(9, 4, 2))).isTrue();
    assertThat(Shape.of(1, 4, 2).sameRows(Shape.of(1, 4, 3))).isFalse();
    assertThat(Shape.scalar().sameRows(Shape.scalar())).isFalse();
  }

  @Test
  void text_isTheProtocolsForm() {
    assertThat(Shape.of(-1, 16)).hasToString("[-1,16]");
    assertThat(Shape.scalar()).hasToString("[]");
  }

  @Test
  void anyRank_acceptsEveryShape() {
    assertThat(Shape.ANY_RANK.hasRank()).isFalse();
    assertThat(Shape.ANY_RANK.isConcrete()).isFalse();
    assertThat(Shape.ANY_RANK.accepts(Shape.scalar())).isTrue();
    assertThat(Shape.ANY_RANK.accepts(Shape.of(2, 3))).isTrue();
    assertThat(Shape.ANY_RANK).isNotEqualTo(Shape.of(Shape.ANY)).hasToString("[...]");
    assertThat(Shape.ANY_RANK.dims()).containsExactly(Shape.ANY);
    assertThat(Shape.ANY_RANK.withDim(0, 3)).isEqualTo(Shape.of(3));
  }
}
