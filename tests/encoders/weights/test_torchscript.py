"""PyTorch's archives are read as by its own loader, but without running their code."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from clipnav.encoders.weights.torchscript import is_torchscript, read_torchscript

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


class Part(nn.Module):
    """Module with parameters and buffers of many types, and with other tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.halves = nn.Parameter(torch.randn(3, 4).half())
        self.brain = nn.Parameter(torch.randn(2, dtype=torch.bfloat16))
        self.empty = nn.Parameter(torch.empty(0, 3))
        self.scalar = nn.Parameter(torch.tensor(2.5))
        self.register_buffer("transposed", torch.arange(6).reshape(2, 3).t())
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("small", torch.tensor([1, 2], dtype=torch.int16))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.plain = torch.ones(7)
        self.many = [torch.ones(2)]
        self.named = {"a": torch.ones(1)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.halves.float().sum() + self.plain.sum()


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = Part()
        self.norm = nn.BatchNorm2d(3)
        self.layers = nn.Sequential(nn.Linear(4, 5), nn.Linear(4, 5, bias=False))
        self.layers[1].weight = self.layers[0].weight
        self.attention = nn.MultiheadAttention(4, 2)
        self.number = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x)


def scripted(module: nn.Module, folder: Path) -> Path:
    torch.jit.save(torch.jit.script(module), folder / "archive.pt")
    return folder / "archive.pt"


def rewritten(path: Path, changes: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write the archive with changed members."""
    changed = path.with_name("changed.pt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name.partition("/")[2], old.read(name)))
    return changed


@pytest.mark.parametrize("how", ["script", "trace"])
def test_every_tensor_equals_that_of_pytorchs_loader(how: str, tmp_path: Path):
    torch.manual_seed(0)
    path = tmp_path / "archive.pt"
    module = (
        torch.jit.script(Whole()) if how == "script" else torch.jit.trace(Whole(), torch.ones(1))
    )
    torch.jit.save(module, path)
    assert is_torchscript(path)
    tensors, expected = read_torchscript(path), torch.jit.load(path).state_dict()
    assert tensors.keys() == expected.keys()
    assert "part.plain" not in tensors
    for name, tensor in expected.items():
        assert tensors[name].dtype == tensor.dtype, name
        assert tensors[name].stride() == tensor.stride(), name
        assert torch.equal(tensors[name], tensor), name
    shared = [tensors[f"layers.{number}.weight"].data_ptr() for number in (0, 1)]
    assert shared[0] == shared[1]


class Trap:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_a_pickle_with_function_calls_calls_none(tmp_path: Path):
    path = scripted(Whole(), tmp_path)
    for protocol in (0, 2, 4):
        raw = pickle.dumps({"a": Trap(tmp_path / "sprung")}, protocol)
        with pytest.raises(ValueError, match=r"changed\.pt: damaged \("):
            read_torchscript(rewritten(path, {"data.pkl": raw}))
    assert not (tmp_path / "sprung").exists()


def test_tensors_larger_than_the_file_are_refused(tmp_path: Path):
    path = scripted(Whole(), tmp_path)
    with zipfile.ZipFile(path) as archive:
        raw = archive.read("archive/data.pkl")
    count = b"cpuq\x0bK\x0ctQ"  # the first storage: twelve elements
    size = b"(K\x03K\x04t(K\x04K\x01t"
    assert raw.count(count) == 1
    assert raw.count(size) == 1
    wrong = {
        r"data/\d+ has 24 bytes, not 26": raw.replace(count, count.replace(b"K\x0c", b"K\x0d")),
        r"exceeds its storage of 12 elements": raw.replace(size, b"(K\x03K\x05t(K\x04K\x01t"),
        r"size \(3, 200\) exceeds": raw.replace(size, b"(K\x03K\xc8t(K\x00K\x00t"),
        r"a tensor has an invalid size": raw.replace(size, b"(K\x03K\x04t(K\x04t"),
        r"a storage has an unknown type": raw.replace(b"torch\nHalfStorage", b"torch\nHalfTensorx"),
        r"pops from an empty stack": b"\x80\x02u.",
        r"exhausted before seeing STOP": raw[:-1],
        r"opcode LONG4, which is not supported": b"\x80\x02\x8b\x01\x00\x00\x00\x01.",
        r"refers to memo 7": b"\x80\x02h\x07.",
        r"does not contain a module": b"\x80\x02).",
    }
    for problem, pickled in wrong.items():
        with pytest.raises(ValueError, match=rf"changed\.pt: .*{problem}"):
            read_torchscript(rewritten(path, {"data.pkl": pickled}))
    with pytest.raises(ValueError, match="compressed"):
        read_torchscript(rewritten(path, {}, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match=r"data\.pkl is encrypted, or too large"):
        read_torchscript(rewritten(path, {"data.pkl": bytes(5 << 20)}))


def test_recursive_modules_are_refused(tmp_path: Path):
    path = scripted(Whole(), tmp_path)
    name = f"__torch__.{Whole.__module__}\nWhole\n".encode()
    cycle = b"\x80\x02c" + name + b")\x81q\x00}X\x01\x00\x00\x00ah\x00sb."
    with pytest.raises(ValueError, match="nested too deeply"):
        read_torchscript(rewritten(path, {"data.pkl": cycle}))
