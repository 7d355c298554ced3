"""Tensors of TorchScript archives, read without running any code from the archives.

An archive is a zip file. `data.pkl` is a pickle of the modules, `data/KEY` contains the bytes of
each storage, and `code/` the source of each class. PyTorch's own loader interprets that source: the
`__setstate__` of a class can write to any file. Here the pickle is parsed without calling anything
(`torchscript_pickle`), and from the source only the two lists are read that name a class's
parameters and buffers.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from clipnav.encoders.weights.torchscript_pickle import ScriptObject, TensorSpec, read_pickle
from clipnav.storage.errors import UserError, in_one_line

# Far above the sizes of the largest CLIP, and small enough for the memory of a small machine.
_MOST_PICKLE_BYTES, _MOST_SOURCE_BYTES = 4 << 20, 32 << 20
_MOST_MODULES, _MOST_LEVELS = 100_000, 64
# Raised by zipfile for a damaged file, and by this module for invalid content.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError)
_MODULE = re.compile(r"^class (\w+)\(Module\):$", re.MULTILINE)
_STATE_LISTS = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive (like PyTorch, by its constants.pkl)."""
    if not zipfile.is_zipfile(path):
        return False
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return any(name.endswith("/constants.pkl") for name in archive.namelist())
        except _DAMAGE:
            return False


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Read parameters and buffers, equal to `torch.jit.load(path).state_dict()`.

    All tensors are on the CPU, and tensors that share storage in the archive share memory.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as opened:
                archive = _Archive(opened, path.stat().st_size)
                root = read_pickle(archive.read("data.pkl", _MOST_PICKLE_BYTES))
                described = _State(archive).collect(root)
                return {name: archive.tensor(tensor) for name, tensor in described.items()}
        except _DAMAGE as error:
            raise UserError(
                f"{path}: not a valid TorchScript archive ({in_one_line(error)}); download it "
                "again, or save its state_dict as safetensors on a machine that may run its code"
            ) from error


class _Archive:
    """The members of a zip file; their sizes are checked before they are read."""

    def __init__(self, archive: zipfile.ZipFile, file_bytes: int) -> None:
        self._archive = archive
        self._members = {member.filename: member for member in archive.infolist()}
        roots = [name.removesuffix("/data.pkl") for name in self._members if _is_pickle(name)]
        if len(roots) != 1 or len(self._members) < len(archive.infolist()):
            raise UserError("it must contain one data.pkl, and no two files of one name")
        self._root = roots[0]
        self._storages: dict[str, tuple[torch.dtype, torch.Tensor]] = {}
        prefix = f"{roots[0]}/data/"
        data = [member for name, member in self._members.items() if name.startswith(prefix)]
        packed = [member for member in data if member.compress_type != zipfile.ZIP_STORED]
        if packed or sum(member.file_size for member in data) > file_bytes:
            raise UserError("its tensors are compressed, or larger than the file")
        if self._root + "/byteorder" in self._members and self.read("byteorder", 16) != b"little":
            raise UserError("its byte order is not little-endian")

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a member; more than `most` bytes are refused."""
        member = self._members.get(f"{self._root}/{name}")
        if member is None:
            raise UserError(f"{name} is missing")
        if member.flag_bits & 1 or member.file_size > most:
            raise UserError(f"{name} is encrypted, or too large: {member.file_size} bytes")
        return self._archive.read(member)

    def tensor(self, described: TensorSpec) -> torch.Tensor:
        """Read a tensor; tensors of one storage share memory."""
        key, dtype, count = described.storage
        if key not in self._storages:
            raw = bytearray(self.read(f"data/{key}", count * dtype.itemsize))
            if len(raw) != count * dtype.itemsize:
                raise UserError(f"data/{key} has {len(raw)} bytes, not {count * dtype.itemsize}")
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = dtype, torch.frombuffer(raw, dtype=dtype) if raw else empty
        stored, storage = self._storages[key]
        if stored != dtype:
            raise UserError(f"data/{key} has two types")
        return storage.as_strided(described.size, described.stride, described.offset)


def _is_pickle(name: str) -> bool:
    return name.endswith("/data.pkl") and name.count("/") == 1


class _State:
    """Collector of the parameters and buffers of nested modules."""

    def __init__(self, archive: _Archive) -> None:
        self._archive = archive
        self._sources: dict[str, dict[str, set[str]]] = {}
        self._source_bytes = 0
        self._modules = 0

    def collect(self, root: Any) -> dict[str, TensorSpec]:
        """Return the descriptions of all tensors of a module's state, by name."""
        if not isinstance(root, ScriptObject):
            raise UserError("its pickle does not contain a module")
        return dict(self._walk(root, "", 0))

    def _walk(
        self, module: ScriptObject, prefix: str, level: int
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
            if isinstance(value, ScriptObject):
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
