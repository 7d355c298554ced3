"""Tensors of TorchScript archives, read without running anything that the archives contain.

An archive is a zip file. `data.pkl` is a pickle of the modules, `data/KEY` holds the bytes of each
storage, and `code/` the source of each class. PyTorch's own loader interprets that source: the
`__setstate__` of a class in it can write into any file. Here the pickle is parsed into opcodes
(`pickletools.genops` executes none of them) and a small stack machine follows those that PyTorch
writes (torch/csrc/jit/serialization/pickler.cpp); of the source, only the two lists that name a
class's parameters and buffers are read.
"""

import math
import pickletools
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

_DTYPES = {
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Double": torch.float64,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
_STORAGE_TYPES = {f"torch.{name}Storage": dtype for name, dtype in _DTYPES.items()}
# Far above those of the largest CLIP, far below what would fill the memory of a small machine.
_MOST_PICKLE_BYTES, _MOST_SOURCE_BYTES = 4 << 20, 32 << 20
_MOST_TENSORS, _MOST_LEVELS, _MOST_DIMENSIONS = 100_000, 64, 8
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
                root = _Machine().run(archive.read("data.pkl", _MOST_PICKLE_BYTES))
                described = _State(archive).collect(root)
                return {name: archive.tensor(tensor) for name, tensor in described.items()}
        except _DAMAGE as error:
            raise ValueError(
                f"{path}: not a sound TorchScript archive ({error}); download it again, or save "
                "its state_dict as safetensors where it can be trusted"
            ) from error


class _Name(NamedTuple):
    """A class or function that a pickle names; never looked up."""

    text: str


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype
    count: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class _Object:
    """An object of a class of the archive."""

    type: str
    attributes: dict[Any, Any] | None = field(default=None, repr=False)


class _Opaque:
    """Something of which no tensor is part of a module's state, such as a list with its type."""


class _Machine:
    """Follows the opcodes of a pickle that PyTorch wrote."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._opcodes: dict[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "STOP": lambda _: None,
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "NONE": lambda _: self._stack.append(None),
            "NEWTRUE": lambda _: self._stack.append(True),
            "NEWFALSE": lambda _: self._stack.append(False),
            "EMPTY_TUPLE": lambda _: self._stack.append(()),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "GLOBAL": lambda text: self._stack.append(_Name(text.replace(" ", "."))),
            "TUPLE": lambda _: self._stack.append(tuple(self._marked())),
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "APPEND": lambda _: self._extend([self._pop()]),
            "APPENDS": lambda _: self._extend(self._marked()),
            "SETITEM": lambda _: self._update([self._pop() for _ in range(2)][::-1]),
            "SETITEMS": lambda _: self._update(self._marked()),
            "BINPERSID": lambda _: self._stack.append(_storage(self._pop(tuple))),
            "NEWOBJ": self._new,
            "REDUCE": self._call,
            "BUILD": self._build,
        }
        for name in ("BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"):
            self._opcodes[name] = self._stack.append
        for count in (1, 2, 3):
            self._opcodes[f"TUPLE{count}"] = self._tuple(count)

    def run(self, raw: bytes) -> Any:
        """The object that a pickle describes."""
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name not in self._opcodes:
                raise ValueError(f"its pickle has {opcode.name}, which PyTorch does not write")
            self._opcodes[opcode.name](argument)
        return self._pop()

    def _pop(self, kind: type | tuple[type, ...] = object) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("its pickle takes more than it gives")
        value = self._stack.pop()
        if not isinstance(value, kind):
            raise ValueError(f"its pickle has a {type(value).__name__} in a wrong place")
        return value

    def _marked(self) -> list[Any]:
        if not self._marks:
            raise ValueError("its pickle takes more than it gives")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _top(self, kind: type) -> Any:
        value = self._pop(kind)
        self._stack.append(value)
        return value

    def _tuple(self, count: int) -> Callable[[Any], None]:
        return lambda _: self._stack.append(tuple([self._pop() for _ in range(count)][::-1]))

    def _put(self, number: int) -> None:
        self._memo[number] = self._top(object)

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise ValueError(f"its pickle refers to {number}, which it has not named")
        self._stack.append(self._memo[number])

    def _extend(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def _update(self, values: list[Any]) -> None:
        keys = values[::2]
        if len(values) % 2 or not all(isinstance(key, (str, int, float)) for key in keys):
            raise ValueError("its pickle has a dictionary with odd keys")
        self._top(dict).update(zip(keys, values[1::2], strict=True))

    def _new(self, _: Any) -> None:
        self._pop(tuple)
        self._stack.append(_Object(self._pop(_Name).text))

    def _build(self, _: Any) -> None:
        state = self._pop()
        # Another state than a dictionary is for the class's own `__setstate__`.
        self._top(_Object).attributes = state if isinstance(state, dict) else None

    def _call(self, _: Any) -> None:
        arguments, function = self._pop(tuple), self._pop(_Name).text
        if function == "torch._utils._rebuild_tensor_v2":
            self._stack.append(_described_tensor(arguments))
        elif function == "torch._utils._rebuild_parameter" and arguments:
            self._stack.append(arguments[0])
        elif function == "collections.OrderedDict" and not arguments:
            self._stack.append({})
        elif function.startswith("torch.jit._pickle."):
            self._stack.append(_Opaque())
        else:
            raise ValueError(f"its pickle calls {function}, which is refused")


def _storage(identity: tuple[Any, ...]) -> _Storage:
    """The storage that a persistent id ("storage", type, key, device, elements) names."""
    if len(identity) == 5 and isinstance(identity[1], _Name):
        _, kind, key, _, count = identity
        if kind.text in _STORAGE_TYPES and isinstance(key, str) and _is_count(count):
            return _Storage(key, _STORAGE_TYPES[kind.text], count)
    raise ValueError("a storage is of an unknown kind")


def _described_tensor(arguments: tuple[Any, ...]) -> _Tensor:
    """A tensor that lies within its storage, and is no larger."""
    if len(arguments) < 4 or not isinstance(arguments[0], _Storage):
        raise ValueError("a tensor is of an unknown kind")
    storage, offset, size, stride = arguments[:4]
    numbers = (size, stride)
    if not all(isinstance(many, tuple) and all(map(_is_count, many)) for many in numbers):
        raise ValueError("a tensor has a size that is none")
    if not _is_count(offset) or not len(size) == len(stride) <= _MOST_DIMENSIONS:
        raise ValueError("a tensor has a size that is none")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # More elements than the storage has are one element repeated: a copy would fill the memory.
    if max(size, default=0) >= 2**31 or (
        count and (last >= storage.count or count > storage.count)
    ):
        raise ValueError(f"a tensor of size {size} does not fit its {storage.count} numbers")
    return _Tensor(storage, offset, size, stride)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


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

    def tensor(self, described: _Tensor) -> torch.Tensor:
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

    def collect(self, root: Any) -> dict[str, _Tensor]:
        """Descriptions of all tensors of a module's state, by their names in it."""
        if not isinstance(root, _Object):
            raise ValueError("its pickle is not of a module")
        return dict(self._walk(root, "", 0))

    def _walk(self, module: _Object, prefix: str, level: int) -> Iterator[tuple[str, _Tensor]]:
        self._modules += 1
        if level > _MOST_LEVELS or self._modules > _MOST_TENSORS:
            raise ValueError("its modules are nested without end")
        names = self._state_names(module.type)
        if names is None:  # an object that is no module has no part in the state
            return
        if module.attributes is None:
            raise ValueError(
                f"{prefix or module.type} is restored by code of the archive, which is not run"
            )
        for name, value in module.attributes.items():
            if isinstance(value, _Tensor) and name in names:
                yield f"{prefix}{name}", value
        for name, value in module.attributes.items():
            if isinstance(value, _Object):
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
