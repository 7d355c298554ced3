"""Tensors of TorchScript archives, read without running anything that the archives contain.

An archive is a zip file. `data.pkl` is a pickle of the modules, `data/KEY` holds the bytes of each
storage, and `code/` the source of each class. PyTorch's own loader interprets that source: the
`__setstate__` of a class in it can write into any file. Here the pickle is followed without calling
anything (`torchscript_pickle`), and only the two lists of the source that name a class's
parameters and buffers are read.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from encoders.weights.torchscript_pickle import ScriptObject, TensorSpec, read_pickle
from storage.messages import in_one_line

# Far above those of the largest CLIP, far below what would fill the memory of a small machine.
_MOST_PICKLE_BYTES, _MOST_SOURCE_BYTES = 4 << 20, 32 << 20
_MOST_MODULES, _MOST_LEVELS = 100_000, 64
# What zipfile raises where a file is damaged, and this module where its content is.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError)
_MODULE = re.compile(r"^class (\w+)\(Module\):$", re.MULTILINE)
_STATE_LISTS = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, which PyTorch, too, knows by its constants."""
    if not zipfile.is_zipfile(path):
        return False
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return any(name.endswith("/constants.pkl") for name in archive.namelist())
        except _DAMAGE:
            return False


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Parameters and buffers of an archive: what `torch.jit.load(path).state_dict()` returns.

    Tensors are on the CPU wherever they were saved, and share storage as they do in the archive.

    Raises:
        ValueError: The archive is damaged, or needs code of its own to be read.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as opened:
                archive = _Archive(opened, path.stat().st_size)
                root = read_pickle(archive.read("data.pkl", _MOST_PICKLE_BYTES))
                described = _State(archive).collect(root)
                return {name: archive.tensor(tensor) for name, tensor in described.items()}
        except _DAMAGE as error:
            raise ValueError(
                f"{path}: not a sound TorchScript archive ({in_one_line(error)}); download it "
                "again, or save its state_dict as safetensors where it can be trusted"
            ) from error


class _Archive:
    """The members of a zip file, with their sizes checked before anything is read."""

    def __init__(self, archive: zipfile.ZipFile, file_bytes: int) -> None:
        self._archive = archive
        self._members = {member.filename: member for member in archive.infolist()}
        roots = [name.removesuffix("/data.pkl") for name in self._members if _is_pickle(name)]
        if len(roots) != 1 or len(self._members) < len(archive.infolist()):
            raise ValueError("there must be one data.pkl, and no two files of one name")
        self._root = roots[0]
        self._storages: dict[str, tuple[torch.dtype, torch.Tensor]] = {}
        data = [one for name, one in self._members.items() if name.startswith(f"{roots[0]}/data/")]
        packed = [one.filename for one in data if one.compress_type != zipfile.ZIP_STORED]
        if packed or sum(one.file_size for one in data) > file_bytes:
            raise ValueError("its tensors are compressed, or claim more bytes than the file has")
        if self._root + "/byteorder" in self._members and self.read("byteorder", 16) != b"little":
            raise ValueError("its numbers are not in little-endian order")

    def read(self, name: str, most: int) -> bytes:
        """Bytes of a member, unless they are more than `most`."""
        member = self._members.get(f"{self._root}/{name}")
        if member is None:
            raise ValueError(f"{name} is missing")
        if member.flag_bits & 1 or member.file_size > most:
            raise ValueError(f"{name} is encrypted, or too large: {member.file_size} bytes")
        return self._archive.read(member)

    def tensor(self, described: TensorSpec) -> torch.Tensor:
        """The tensor itself; those of one storage share its memory."""
        key, dtype, count = described.storage
        if key not in self._storages:
            raw = bytearray(self.read(f"data/{key}", count * dtype.itemsize))
            if len(raw) != count * dtype.itemsize:
                raise ValueError(f"data/{key} has {len(raw)} bytes, not {count * dtype.itemsize}")
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = dtype, torch.frombuffer(raw, dtype=dtype) if raw else empty
        stored, storage = self._storages[key]
        if stored != dtype:
            raise ValueError(f"data/{key} is of two types")
        return storage.as_strided(described.size, described.stride, described.offset)


def _is_pickle(name: str) -> bool:
    return name.endswith("/data.pkl") and name.count("/") == 1


class _State:
    """Finds the parameters and buffers of modules within modules."""

    def __init__(self, archive: _Archive) -> None:
        self._archive = archive
        self._sources: dict[str, dict[str, set[str]]] = {}
        self._source_bytes = 0
        self._modules = 0

    def collect(self, root: Any) -> dict[str, TensorSpec]:
        """Descriptions of all tensors of a module's state, by their names in it."""
        if not isinstance(root, ScriptObject):
            raise ValueError("its pickle is not of a module")
        return dict(self._walk(root, "", 0))

    def _walk(
        self, module: ScriptObject, prefix: str, level: int
    ) -> Iterator[tuple[str, TensorSpec]]:
        self._modules += 1
        if level > _MOST_LEVELS or self._modules > _MOST_MODULES:
            raise ValueError("its modules are nested without end")
        names = self._state_names(module.type)
        if names is None:  # an object that is no module has no part in the state
            return
        if module.attributes is None:
            raise ValueError(
                f"{prefix or module.type} is restored by code of the archive, which is not run"
            )
        for name, value in module.attributes.items():
            if isinstance(value, TensorSpec) and name in names:
                yield f"{prefix}{name}", value
        for name, value in module.attributes.items():
            if isinstance(value, ScriptObject):
                yield from self._walk(value, f"{prefix}{name}.", level + 1)

    def _state_names(self, kind: str) -> set[str] | None:
        """Names of a class's parameters and buffers; None if it is no class of modules."""
        package, _, name = kind.rpartition(".")
        if package not in self._sources:
            left = _MOST_SOURCE_BYTES - self._source_bytes
            raw = self._archive.read(f"code/{package.replace('.', '/')}.py", left)
            self._source_bytes += len(raw)
            self._sources[package] = _module_classes(raw.decode("utf-8"))
        return self._sources[package].get(name)


def _module_classes(source: str) -> dict[str, set[str]]:
    """Names of parameters and buffers by the name of each class of modules in a source."""
    _, *parts = _MODULE.split(source)
    classes: dict[str, set[str]] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        # The body of the last module of a source may be followed by other classes.
        own = re.split(r"^\S", body, maxsplit=1, flags=re.MULTILINE)[0]
        lists = " ".join(_STATE_LISTS.findall(own))
        classes[name] = set(re.findall(r'"([^"\\]+)"', lists))
    return classes
