"""Tensors of TorchScript archives, read without running any code from the archives.

An archive is a zip file. `data.pkl` is a pickle of the modules, `data/KEY` contains the bytes of
each storage, and `code/` the source of each class. PyTorch's own loader interprets that source: the
`__setstate__` of a class can write to any file. Here the pickle is parsed without calling anything
(`clipnav.storage.torch_files`), and from the source only the two lists are read that name a class's
parameters and buffers.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from clipnav.storage.errors import UserError
from clipnav.storage.torch_files import (
    ForeignObject,
    TensorSpec,
    TorchArchive,
    TorchTensors,
    open_torch_file,
)

_HINT = (
    "download it again, or save its state_dict as safetensors on a machine that may run its code"
)
_MOST_SOURCE_BYTES = 32 << 20
_MOST_MODULES, _MOST_LEVELS = 100_000, 64
_DEFINED = "__torch__."  # prefix of the classes whose source is in the archive
_MODULE = re.compile(r"^class (\w+)\(Module\):$", re.MULTILINE)
_STATE_LISTS = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive (like PyTorch, by its constants.pkl)."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return False


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Read parameters and buffers, equal to `torch.jit.load(path).state_dict()`.

    All tensors are on the CPU, and tensors that share storage in the archive share memory.
    """
    with open_torch_file(path, _HINT) as archive:
        assert isinstance(archive, TorchArchive)
        described, tensors = _State(archive).collect(archive.content), TorchTensors(archive)
        return {name: tensors.read(tensor) for name, tensor in described.items()}


class _State:
    """Collector of the parameters and buffers of nested modules."""

    def __init__(self, archive: TorchArchive) -> None:
        self._archive = archive
        self._sources: dict[str, dict[str, set[str]]] = {}
        self._source_bytes = 0
        self._modules = 0

    def collect(self, root: Any) -> dict[str, TensorSpec]:
        """Return the descriptions of all tensors of a module's state, by name."""
        if not isinstance(root, ForeignObject):
            raise UserError("its pickle does not contain a module")
        return dict(self._walk(root, "", 0))

    def _walk(
        self, module: ForeignObject, prefix: str, level: int
    ) -> Iterator[tuple[str, TensorSpec]]:
        self._modules += 1
        if level > _MOST_LEVELS or self._modules > _MOST_MODULES:
            raise UserError("it contains too many modules, or they are nested too deeply")
        names = self._state_names(module.type)
        if names is None:  # not a module, hence not part of the state
            return
        if module.attributes is None:
            raise UserError(
                f"{prefix or module.type} requires code of the archive, which is not run"
            )
        for name, value in module.attributes.items():
            if isinstance(value, TensorSpec) and name in names:
                yield f"{prefix}{name}", value
        for name, value in module.attributes.items():
            if isinstance(value, ForeignObject) and value.type.startswith(_DEFINED):
                yield from self._walk(value, f"{prefix}{name}.", level + 1)

    def _state_names(self, kind: str) -> set[str] | None:
        """Return the names of a class's parameters and buffers; None if it is not a module."""
        package, _, name = kind.rpartition(".")
        if package not in self._sources:
            left = _MOST_SOURCE_BYTES - self._source_bytes
            raw = self._archive.read(f"code/{package.replace('.', '/')}.py", left)
            self._source_bytes += len(raw)
            self._sources[package] = _module_classes(raw.decode("utf-8"))
        return self._sources[package].get(name)


def _module_classes(source: str) -> dict[str, set[str]]:
    """Return the names of parameters and buffers of each module class in a source file."""
    _, *parts = _MODULE.split(source)
    classes: dict[str, set[str]] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        # The last module class of a source may be followed by other classes.
        own = re.split(r"^\S", body, maxsplit=1, flags=re.MULTILINE)[0]
        lists = " ".join(_STATE_LISTS.findall(own))
        classes[name] = set(re.findall(r'"([^"\\]+)"', lists))
    return classes
