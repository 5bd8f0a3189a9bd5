"""Writes the TorchScript files of the tests and the one that the backend itself brings.

    python3 -m venv venv && venv/bin/pip install torch==2.7.1 numpy scikit-learn onnx
    venv/bin/python src/test/python/make_models.py

Run it in the folder of the module. The tests need the files only, not Python. Seeds are fixed, so a
second run with the same versions writes the same weights. With --onnx the classifier is also
written as digits.onnx, for a comparison of engines; digits.npz holds its weights and a few rows of
its test set with the logits that PyTorch gives for them.
"""

import argparse
import shutil
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy
import torch
from torch import Tensor, nn

MAIN = Path("src/main/resources/dev/millrace/backend/pytorch")
TEST = Path("src/test/resources/models")
EXAMPLE = Path("../../examples/digits")


class Datatypes(nn.Module):
    """What the backend asks of a tensor that its bridge to the engine has no word for."""

    @torch.jit.export
    def number(self, x: Tensor) -> int:
        return x.dtype

    @torch.jit.export
    def bf16(self, x: Tensor) -> Tensor:
        return x.to(torch.bfloat16)

    @torch.jit.export
    def int16(self, x: Tensor) -> Tensor:
        return x.to(torch.int16)


class AddSub(nn.Module):
    def forward(self, INPUT0: Tensor, INPUT1: Tensor) -> Tuple[Tensor, Tensor]:
        return INPUT0 + INPUT1, INPUT0 - INPUT1


class Identity(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + x


class Named(nn.Module):
    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        return {"twice": x * 2, "negated": -x}


class Listed(nn.Module):
    def forward(self, x: Tensor) -> List[Tensor]:
        return [x, x * 2, x * 3]


class Pair(NamedTuple):
    sum: Tensor
    nothing: Optional[Tensor]


class Nested(nn.Module):
    """A named tuple with a None in it, and a list inside a tuple."""

    def forward(self, x: Tensor) -> Tuple[Pair, List[Tensor]]:
        return Pair(x.sum(1), None), [x * 2]


class Transposed(nn.Module):
    """An output whose memory is not in the order of its elements."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Scaled(nn.Module):
    """An argument with a default, and one that may be None."""

    def forward(self, x: Tensor, bias: Optional[Tensor] = None, factor: float = 2.0) -> Tensor:
        y = x * factor
        if bias is not None:
            y = y + bias
        return y


class InPlace(nn.Module):
    """Writes to its input."""

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        return x


class Keeper(nn.Module):
    """Gives what it was given the time before."""

    def __init__(self):
        super().__init__()
        self.last = torch.zeros(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        before = self.last
        self.last = x
        return before


class Strict(nn.Module):
    """Refuses what its author did not want."""

    def forward(self, x: Tensor) -> Tensor:
        if x.size(1) != 4:
            raise ValueError("four columns are wanted")
        return x


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.arange(6.0).reshape(3, 2))

    def forward(self, ids: Tensor) -> Tensor:
        return self.embedding(ids)


class Number(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, int]:
        return x, x.size(0)


class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x)


class Sparse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_sparse()


class Counted(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        return x * n


class Nothing(nn.Module):
    """A script without forward."""

    @torch.jit.export
    def other(self, x: Tensor) -> Tensor:
        return x


class Huge(nn.Module):
    """Asks for more memory than there is."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 1).expand(1 << 40, 1 << 10).contiguous()


class Big(nn.Module):
    """An output beyond the 2 GiB of a tensor, without the memory for it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 1).expand(1 << 16, 1 << 15)


class Digits(nn.Module):
    """Handwritten digits of 8 x 8 pixels."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 32)
        self.output = nn.Linear(32, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.output(torch.relu(self.hidden(pixels / 16)))


class Divided(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x // y


class Traced(nn.Module):
    def forward(self, ids: Tensor, mask: Tensor, scale: Tensor) -> Tensor:
        return ids * mask * scale


def train(seed: int) -> Tuple[Digits, numpy.ndarray, numpy.ndarray]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    torch.manual_seed(seed)
    data = load_digits()
    x, test_x, y, test_y = train_test_split(
        data.data.astype("float32"), data.target, test_size=360, random_state=seed
    )
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    model = Digits()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-4)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval(), test_x, test_y


def write(path: Path, script: torch.jit.ScriptModule) -> None:
    torch.jit.save(script, path)


def digits(with_onnx: bool) -> None:
    model, test_x, test_y = train(7)
    rows = torch.from_numpy(test_x)
    with torch.no_grad():
        logits = model(rows).numpy()
    accuracy = (logits.argmax(1) == test_y).mean()
    print(f"digits: {accuracy:.3f} of {len(test_y)} test rows are right")
    write(TEST / "digits.pt", torch.jit.trace(model, rows[:1]))
    shutil.copy(TEST / "digits.pt", EXAMPLE / "model.pt")
    weights = {name.replace(".", "_"): value.numpy() for name, value in model.state_dict().items()}
    numpy.savez_compressed(
        TEST / "digits.npz", rows=test_x[:16], labels=test_y[:16], logits=logits[:16], **weights
    )
    table = numpy.hstack([test_x, test_y[:, None]]).astype("int64")
    numpy.savetxt(TEST / "digits.csv", table, fmt="%d", delimiter=",")
    numpy.savetxt(TEST / "digits-logits.csv", logits[:16], fmt="%.6f", delimiter=",")
    if with_onnx:
        torch.onnx.export(
            model, (rows[:1],), TEST / "digits.onnx", input_names=["pixels"], output_names=["logits"],
            dynamic_axes={"pixels": {0: "batch"}, "logits": {0: "batch"}}, dynamo=False,
        )


def rewritten(source: Path, target: Path, change) -> None:
    """A copy of an archive, some of whose entries are others."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            content = change(info.filename, old.read(info))
            if content is not None:
                new.writestr(zipfile.ZipInfo(info.filename), content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", action="store_true", help="also write digits.onnx")
    onnx = parser.parse_args().onnx

    MAIN.mkdir(parents=True, exist_ok=True)
    TEST.mkdir(parents=True, exist_ok=True)
    write(MAIN / "datatypes.pt", torch.jit.script(Datatypes()))
    for module in [
        AddSub(), Identity(), Doubled(), Named(), Listed(), Nested(), Transposed(), Scaled(), InPlace(),
        Keeper(), Strict(), Lookup(), Number(), Complex(), Sparse(), Counted(), Nothing(), Huge(), Big(), Divided(),
    ]:  # fmt: skip
        write(TEST / f"{type(module).__name__.lower()}.pt", torch.jit.script(module.eval()))
    example = (torch.ones(2, 7, dtype=torch.int64), torch.ones(2, 7, dtype=torch.bool), torch.ones((), dtype=torch.bfloat16))
    write(TEST / "traced.pt", torch.jit.trace(Traced(), example))
    digits(onnx)

    torch.save(Digits().state_dict(), TEST / "statedict.pt")
    torch.save({"x": torch.zeros(1)}, TEST / "legacy.pt", _use_new_zipfile_serialization=False)
    newer = lambda name, content: b"99\n" if name.endswith("/version") else content
    rewritten(TEST / "identity.pt", TEST / "newer.pt", newer)
    unknown = lambda name, content: (
        content.replace(b"return x", b"return torch.nonsense(x)") if name.endswith(".py") else content
    )
    rewritten(TEST / "identity.pt", TEST / "unknown.pt", unknown)


if __name__ == "__main__":
    main()
