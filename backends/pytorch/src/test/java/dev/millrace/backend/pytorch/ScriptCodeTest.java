package dev.millrace.backend.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ScriptCodeTest {
  private static ScriptCode code(String text) {
    return new ScriptCode(Optional.of("__torch__.a.Net"), Map.of("code/__torch__/a.py", text));
  }

  private static ScriptCode forward(String arguments, String body) {
    return code(
        """
        class Other(Module):
          def forward(self: __torch__.a.Other,
            wrong: Tensor) -> Tensor:
            return wrong
        class Net(Module):
          __parameters__ = []
          training : bool
          def helper(self: __torch__.a.Net,
            z: Tensor) -> Tensor:
            return z
          def forward(self: __torch__.a.Net%s) -> Tensor:
            %s
        class Last(Module):
          def forward(self: __torch__.a.Last) -> int:
            return 1
        """
            .formatted(arguments, body));
  }

  @Test
  void arguments_areThoseOfForward() {
    assertThat(
            forward(
                    ",\n    x: Tensor,\n    sizes: Tuple[int, int]=(1, 2),\n    mask: Optional[Tensor]=None",
                    "return x")
                .arguments())
        .hasValueSatisfying(arguments ->
            assertThat(arguments)
                .containsExactly(
                    new Argument("x", "Tensor", false),
                    new Argument("sizes", "Tuple[int, int]", true),
                    new Argument("mask", "Optional[Tensor]", true)));
    assertThat(forward("", "return self.x").arguments())
        .hasValueSatisfying(arguments -> assertThat(arguments).isEmpty());
  }

  @Test
  void textThatIsNotUnderstood_tellsNothing() {
    assertThat(code("class Net(Module):\n  x : int\n").arguments()).isEmpty();
    assertThat(code("").arguments()).isEmpty();
    assertThat(forward(", *args", "return x").arguments()).isEmpty();
    assertThat(new ScriptCode(Optional.of("Net"), Map.of()).arguments()).isEmpty();
    assertThat(new ScriptCode(Optional.empty(), Map.of()).arguments()).isEmpty();
    assertThat(new ScriptCode(Optional.empty(), Map.of()).isPure()).isFalse();
  }

  @Test
  void whatMayWriteOrKeep_isSeen() {
    for (String statement :
        new String[] {
          "_0 = torch.add_(x, 1)",
          "_0 = torch.copy_(torch.select(x, 0, 0), y)",
          "_0 = torch.add(x, y, out=x)",
          "self.last = x",
          "self.layer.last = x",
          "_0 = torch.append(xs, x)",
          "_0 = torch._set_item(d, \"k\", x)",
          "_0 = ops.custom.write(x)"
        }) {
      assertThat(forward(", x: Tensor", statement).isPure()).as(statement).isFalse();
    }
  }

  @Test
  void whatOnlyReads_isPure() {
    for (String statement :
        new String[] {
          "y = torch.add(x, 1)",
          "last = self.last",
          "if torch.__isnot__(x, None):",
          "_1 = ops.prim.dtype(x)",
          "y = (self.layer).forward(x, )",
          "y = torch.batch_norm(x, w, b, m, v, False, 0.1, 1.0000000000000001e-05, True)"
        }) {
      assertThat(forward(", x: Tensor", statement).isPure()).as(statement).isTrue();
    }
  }

  @Test
  void scriptThatChangesItsModule_isStateful() {
    assertThat(forward(", x: Tensor", "self.last = x").isStateful()).isTrue();
    assertThat(forward(", x: Tensor", "_0 = torch.append(xs, x)").isStateful()).isFalse();
    assertThat(forward(", x: Tensor", "_0 = torch.relu_(x)").isStateful()).isFalse();
    assertThat(
            code("class Net(Module):\n  seen : List[Tensor]\n    _0 = torch.append(_1, x)\n")
                .isStateful())
        .isTrue();
  }
}
