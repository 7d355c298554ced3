"""Tensors of TorchScript archives, read without running any code from the archives.

An archive is a zip file. `data.pkl` is a pickle of the modules, `data/KEY` contains the bytes of
each storage, and `code/` the source of each class. PyTorch's own loader interprets that source: the
`__setstate__` of a class can write to any file. Here the pickle is parsed without calling anything
and from the source only the two lists are read that name a class's
parameters and buffers.

`pickletools.genops` splits a pickle into opcodes and executes none of them. A small stack machine
interprets the opcodes that PyTorch writes (torch/csrc/jit/serialization/pickler.cpp) and refuses
all others; tensors are returned as descriptions of where their elements are stored.
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

from clipnav.storage.errors import UserError, in_one_line

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
_MOST_DIMENSIONS = 8
# Far above the sizes of the largest CLIP, and small enough for the memory of a small machine.
_MOST_PICKLE_BYTES, _MOST_SOURCE_BYTES = 4 << 20, 32 << 20
_MOST_MODULES, _MOST_LEVELS = 100_000, 64
# Raised by zipfile for a damaged file, and by this module for invalid content.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError)
_MODULE = re.compile(r"^class (\w+)\(Module\):$", re.MULTILINE)
_STATE_LISTS = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)


class _Name(NamedTuple):
    """Name of a class or function in a pickle; never imported."""

    text: str


class StorageSpec(NamedTuple):
    """A storage: elements of one type in the file `data/KEY` of the archive."""

    key: str
    dtype: torch.dtype
    count: int


class TensorSpec(NamedTuple):
    """Offset, size and stride of a tensor within a storage, in elements."""

    storage: StorageSpec
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class ScriptObject:
    """An object whose class is defined in the archive."""

    type: str
    attributes: dict[Any, Any] | None = field(default=None, repr=False)


class _Opaque:
    """A value that contains no tensor of a module's state, such as a typed list."""


def _read_pickle(raw: bytes) -> Any:
    """Parse a pickle into dictionaries, lists, numbers, `ScriptObject` and `TensorSpec`."""
    return _Machine().run(raw)


class _Machine:
    """Stack machine for the pickle opcodes that PyTorch writes."""

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
        """Return the object that a pickle describes."""
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name not in self._opcodes:
                raise UserError(f"its pickle has opcode {opcode.name}, which is not supported")
            self._opcodes[opcode.name](argument)
        return self._pop()

    def _pop(self, kind: type | tuple[type, ...] = object) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise UserError("its pickle pops from an empty stack")
        value = self._stack.pop()
        if not isinstance(value, kind):
            raise UserError(f"its pickle has an unexpected {type(value).__name__}")
        return value

    def _marked(self) -> list[Any]:
        if not self._marks:
            raise UserError("its pickle pops from an empty stack")
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
            raise UserError(f"its pickle refers to memo {number}, which is not set")
        self._stack.append(self._memo[number])

    def _extend(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def _update(self, values: list[Any]) -> None:
        keys = values[::2]
        if len(values) % 2 or not all(isinstance(key, (str, int, float)) for key in keys):
            raise UserError("its pickle has a dictionary with invalid keys")
        self._top(dict).update(zip(keys, values[1::2], strict=True))

    def _new(self, _: Any) -> None:
        self._pop(tuple)
        self._stack.append(ScriptObject(self._pop(_Name).text))

    def _build(self, _: Any) -> None:
        state = self._pop()
        # A state that is not a dictionary would be passed to the class's own `__setstate__`.
        self._top(ScriptObject).attributes = state if isinstance(state, dict) else None

    def _call(self, _: Any) -> None:
        arguments, function = self._pop(tuple), self._pop(_Name).text
        if function == "torch._utils._rebuild_tensor_v2":
            self._stack.append(_tensor_spec(arguments))
        elif function == "torch._utils._rebuild_parameter" and arguments:
            self._stack.append(arguments[0])
        elif function == "collections.OrderedDict" and not arguments:
            self._stack.append({})
        elif function.startswith("torch.jit._pickle."):
            self._stack.append(_Opaque())
        else:
            raise UserError(f"its pickle calls {function}, which is not allowed")


def _storage(identity: tuple[Any, ...]) -> StorageSpec:
    """Return the storage of a persistent id ("storage", type, key, device, elements)."""
    if len(identity) == 5 and isinstance(identity[1], _Name):
        _, kind, key, _, count = identity
        if kind.text in _STORAGE_TYPES and isinstance(key, str) and _is_count(count):
            return StorageSpec(key, _STORAGE_TYPES[kind.text], count)
    raise UserError("a storage has an unknown type")


def _tensor_spec(arguments: tuple[Any, ...]) -> TensorSpec:
    """Check the arguments of a tensor, which must be contained in its storage."""
    if len(arguments) < 4 or not isinstance(arguments[0], StorageSpec):
        raise UserError("a tensor has an unknown type")
    storage, offset, size, stride = arguments[:4]
    shapes = (size, stride)
    if not all(isinstance(shape, tuple) and all(map(_is_count, shape)) for shape in shapes):
        raise UserError("a tensor has an invalid size")
    if not _is_count(offset) or not len(size) == len(stride) <= _MOST_DIMENSIONS:
        raise UserError("a tensor has an invalid size")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # A tensor larger than its storage repeats elements; a copy of it could fill the memory.
    if max(size, default=0) >= 2**31 or (
        count and (last >= storage.count or count > storage.count)
    ):
        raise UserError(f"a tensor of size {size} exceeds its storage of {storage.count} elements")
    return TensorSpec(storage, offset, size, stride)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


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
                root = _read_pickle(archive.read("data.pkl", _MOST_PICKLE_BYTES))
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
