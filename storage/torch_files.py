"""Files of `torch.save`, read without running code from them.

Such a file is a zip archive: `data.pkl` is a pickle, and `data/KEY` contains the bytes of each
storage. PyTorch before 1.6 wrote pickles and storages one after the other.

`pickletools.genops` splits a pickle into opcodes and executes none of them. A small stack machine
interprets the opcodes that PyTorch writes and refuses all others. It imports and calls nothing: an
object of any other class, such as the configuration in a checkpoint of habitat, becomes a
`ForeignObject` with the data that the file contains. Tensors are described by where their elements
are stored, and only those that a reader asks for are read. The sizes that a file declares are
checked against the size of the file, and the CRC-32 of each part of an archive against its bytes.
"""

import io
import math
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

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
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_ORDERED = "collections.OrderedDict"
_MOST_DIMENSIONS = 8
# Far above the largest CLIP, and small enough for the memory of a small machine.
_MOST_PICKLE_BYTES = 4 << 20
_MOST_LEVELS = 64
# First two pickles of a file of PyTorch before 1.6, two numbers (torch/serialization.py).
_OLD_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
# Raised by zipfile and pickletools for a damaged file, and by this module for invalid content.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError)


class _Name(NamedTuple):
    """Name of a class or function in a pickle; never imported."""

    text: str


class StorageSpec(NamedTuple):
    """A storage: elements of one type under a key of the file."""

    key: str
    dtype: torch.dtype
    count: int


class TensorSpec(NamedTuple):
    """Offset, size and stride of a tensor within a storage, in elements."""

    storage: StorageSpec
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(eq=False)
class ForeignObject:
    """An object that is neither a tensor nor plain data; nothing of its class is imported.

    Attributes:
        type: Name of its class, or of the function that would return it.
        attributes: Its attributes; None if it has others than by name.
        items: Its entries, if it is a dictionary, such as a configuration of yacs.
    """

    type: str
    attributes: dict[Any, Any] | None = field(default=None, repr=False)
    items: dict[Any, Any] = field(default_factory=dict, repr=False)


def value_at(content: Any, name: str) -> Any:
    """Return a value in nested dictionaries and objects by its dotted name; None if absent."""
    for part in name.split("."):
        content = _entries(content).get(part)
    return content


def _entries(content: Any) -> dict[Any, Any]:
    if isinstance(content, ForeignObject):
        content = content.items or content.attributes
    return content if isinstance(content, dict) else {}


class _Machine:
    """Stack machine for the pickle opcodes that PyTorch writes."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, StorageSpec] = {}
        push = self._stack.append
        self._opcodes: dict[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "STOP": lambda _: None,
            "FRAME": lambda _: None,
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "NONE": lambda _: push(None),
            "NEWTRUE": lambda _: push(True),
            "NEWFALSE": lambda _: push(False),
            "EMPTY_TUPLE": lambda _: push(()),
            "EMPTY_LIST": lambda _: push([]),
            "EMPTY_DICT": lambda _: push({}),
            "EMPTY_SET": lambda _: push(ForeignObject("set")),
            "GLOBAL": lambda text: push(_Name(text.replace(" ", "."))),
            "STACK_GLOBAL": self._global,
            "TUPLE": lambda _: push(tuple(self._marked())),
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "APPEND": lambda _: self._extend([self._pop()]),
            "APPENDS": lambda _: self._extend(self._marked()),
            "ADDITEMS": lambda _: self._extend(self._marked()),
            "SETITEM": lambda _: self._update([self._pop() for _ in range(2)][::-1]),
            "SETITEMS": lambda _: self._update(self._marked()),
            "BINPERSID": self._persistent,
            "NEWOBJ": self._new,
            "REDUCE": self._call,
            "BUILD": self._build,
        }
        texts = ("BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING", "BINSTRING")
        numbers = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
        for name in (*texts, *numbers, "SHORT_BINBYTES", "BINBYTES"):
            self._opcodes[name] = push
        for count in (1, 2, 3):
            self._opcodes[f"TUPLE{count}"] = self._tuple(count)

    def run(self, file: BinaryIO) -> Any:
        """Return the object that a pickle describes; the file is then at its end."""
        for opcode, argument, _ in pickletools.genops(file):
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

    def _top(self, kind: type | tuple[type, ...]) -> Any:
        value = self._pop(kind)
        self._stack.append(value)
        return value

    def _tuple(self, count: int) -> Callable[[Any], None]:
        return lambda _: self._stack.append(tuple([self._pop() for _ in range(count)][::-1]))

    def _global(self, _: Any) -> None:
        name, module = self._pop(str), self._pop(str)
        self._stack.append(_Name(f"{module}.{name}"))

    def _put(self, number: int) -> None:
        self._memo[number] = self._top(object)

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise UserError(f"its pickle refers to memo {number}, which is not set")
        self._stack.append(self._memo[number])

    def _extend(self, values: list[Any]) -> None:
        owner = self._top((list, ForeignObject))
        if isinstance(owner, list):
            owner.extend(values)

    def _update(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise UserError("its pickle has a dictionary with a key without a value")
        owner = self._top((dict, ForeignObject))
        entries = owner.items if isinstance(owner, ForeignObject) else owner
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Other keys may be unhashable, or take exponential time: tuples of one tuple, nested.
            is_plain = isinstance(key, (str, int, float))
            entries[key if is_plain else ForeignObject("key")] = value

    def _persistent(self, _: Any) -> None:
        storage = _storage(self._pop(tuple))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise UserError(f"data/{storage.key} has two types")
        self._stack.append(storage)

    def _new(self, _: Any) -> None:
        self._pop(tuple)
        self._stack.append(ForeignObject(self._pop(_Name).text))

    def _build(self, _: Any) -> None:
        state, owner = self._pop(), self._top((dict, ForeignObject))
        if isinstance(owner, ForeignObject):
            # A state that is not a dictionary would be passed to the class's own `__setstate__`.
            owner.attributes = state if isinstance(state, dict) else None

    def _call(self, _: Any) -> None:
        arguments, function = self._pop(tuple), self._pop(_Name).text
        if function in _TENSORS:
            self._stack.append(_tensor_spec(arguments))
        elif function in _PARAMETERS and arguments:
            self._stack.append(arguments[0])
        elif function == _ORDERED and not arguments:
            self._stack.append({})
        else:
            self._stack.append(ForeignObject(function))


def _read_pickle(raw: bytes) -> Any:
    return _Machine().run(io.BytesIO(raw))


def _storage(identity: tuple[Any, ...]) -> StorageSpec:
    """Return the storage of a persistent id ("storage", type, key, device, elements[, view])."""
    if len(identity) in (5, 6) and isinstance(identity[1], _Name) and identity[5:] in ((), (None,)):
        _, kind, key, _, count = identity[:5]
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


class TorchFile(Protocol):
    """An open file.

    Attributes:
        content: What was saved; tensors are `TensorSpec`.
    """

    content: Any

    def storage_bytes(self, storage: StorageSpec) -> bytearray:
        """Read a storage; its size in the file is the declared one."""
        ...

    def check(self) -> bool:
        """Compare the whole file with its checksums; return whether it has any."""
        ...


class TorchTensors:
    """Reader of the tensors of a file; those of one storage share memory, as in the file."""

    def __init__(self, file: TorchFile) -> None:
        self._file = file
        self._storages: dict[str, torch.Tensor] = {}

    def read(self, described: TensorSpec) -> torch.Tensor:
        """Read a tensor."""
        key, dtype, _ = described.storage
        if key not in self._storages:
            raw = self._file.storage_bytes(described.storage)
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = torch.frombuffer(raw, dtype=dtype) if raw else empty
        storage = self._storages[key]
        return storage.as_strided(described.size, described.stride, described.offset)


class TorchArchive:
    """The members of a zip file; their sizes are checked before they are read."""

    def __init__(self, archive: zipfile.ZipFile, file_bytes: int) -> None:
        self._archive = archive
        self._members = {member.filename: member for member in archive.infolist()}
        roots = [name.removesuffix("/data.pkl") for name in self._members if _is_pickle(name)]
        if len(roots) != 1 or len(self._members) < len(archive.infolist()):
            raise UserError("it must contain one data.pkl, and no two files of one name")
        self._root = roots[0]
        prefix = f"{roots[0]}/data/"
        data = [member for name, member in self._members.items() if name.startswith(prefix)]
        packed = [member for member in data if member.compress_type != zipfile.ZIP_STORED]
        if packed or sum(member.file_size for member in data) > file_bytes:
            raise UserError("its tensors are compressed, or larger than the file")
        if self._root + "/byteorder" in self._members and self.read("byteorder", 16) != b"little":
            raise UserError("its byte order is not little-endian")
        self.content = _read_pickle(self.read("data.pkl", _MOST_PICKLE_BYTES))

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a member; more than `most` bytes are refused."""
        member = self._members.get(f"{self._root}/{name}")
        if member is None:
            raise UserError(f"{name} is missing")
        if member.flag_bits & 1 or member.file_size > most:
            raise UserError(f"{name} is encrypted, or too large: {member.file_size} bytes")
        return self._archive.read(member)

    def storage_bytes(self, storage: StorageSpec) -> bytearray:
        """See `TorchFile`."""
        key, dtype, count = storage
        raw = bytearray(self.read(f"data/{key}", count * dtype.itemsize))
        if len(raw) != count * dtype.itemsize:
            raise UserError(f"data/{key} has {len(raw)} bytes, not {count * dtype.itemsize}")
        return raw

    def check(self) -> bool:
        """See `TorchFile`."""
        if damaged := self._archive.testzip():
            raise UserError(f"bad CRC-32 of {damaged}")
        return True


def _is_pickle(name: str) -> bool:
    return name.endswith("/data.pkl") and name.count("/") == 1


class _OldFile:
    """A file of PyTorch before 1.6."""

    def __init__(self, file: BinaryIO, file_bytes: int) -> None:
        self._file = file
        start, machine = io.BytesIO(file.read(_MOST_PICKLE_BYTES)), _Machine()
        if start.read(len(_OLD_START)) != _OLD_START:
            raise UserError("not a file of torch.save")
        if value_at(_Machine().run(start), "little_endian") is not True:
            raise UserError("its byte order is not little-endian")
        self.content, keys = machine.run(start), _Machine().run(start)
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(machine.storages):
            raise UserError("its list of storages is not that of its tensors")
        self._offsets: dict[str, int] = {}
        offset = start.tell()
        for storage in (machine.storages[str(key)] for key in keys):
            file.seek(offset)
            if file.read(8) != struct.pack("<Q", storage.count):
                raise UserError(f"storage {storage.key} does not have {storage.count} elements")
            self._offsets[storage.key] = offset + 8
            offset += 8 + storage.count * storage.dtype.itemsize
            if offset > file_bytes:
                raise UserError("truncated, or its tensors are larger than the file")

    def storage_bytes(self, storage: StorageSpec) -> bytearray:
        """See `TorchFile`."""
        self._file.seek(self._offsets[storage.key])
        return bytearray(self._file.read(storage.count * storage.dtype.itemsize))

    def check(self) -> bool:
        """See `TorchFile`."""
        return False


@contextmanager
def open_torch_file(path: Path, hint: str) -> Iterator[TorchFile]:
    """Open a file of `torch.save`, or of `torch.jit.save`; damage is an error of one line.

    Args:
        hint: What to do about a damaged file.
    """
    with path.open("rb") as file:
        try:
            size = path.stat().st_size
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    yield TorchArchive(archive, size)
            else:
                file.seek(0)
                yield _OldFile(file, size)
        except _DAMAGE as error:
            raise UserError(f"{path}: damaged ({in_one_line(error)}); {hint}") from error


def read_torch_file(path: Path, hint: str) -> Any:
    """Read a file of tensors, numbers, texts, and lists and dictionaries of them.

    Anything else is refused. For `hint` see `open_torch_file`.
    """
    with open_torch_file(path, hint) as file:
        return _Values(TorchTensors(file)).make(file.content)


class _Values:
    """Maker of values with tensors from values with descriptions of tensors."""

    def __init__(self, tensors: TorchTensors) -> None:
        self._tensors = tensors
        self._made: dict[int, Any] = {}  # by identity: shared values are made once

    def make(self, value: Any, level: int = 0) -> Any:
        """Make a value; lists and dictionaries within themselves are refused."""
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        if level > _MOST_LEVELS:
            raise UserError("its values are nested too deeply")
        if id(value) not in self._made:
            self._made[id(value)] = self._new(value, level + 1)
        return self._made[id(value)]

    def _new(self, value: Any, level: int) -> Any:
        if isinstance(value, TensorSpec):
            return self._tensors.read(value)
        if isinstance(value, dict):
            return {key: self.make(one, level) for key, one in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.make(one, level) for one in value)
        kind = value.type if isinstance(value, ForeignObject) else type(value).__name__
        raise UserError(f"it contains {kind}, which is neither a tensor nor plain data")
