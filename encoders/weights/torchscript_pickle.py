"""Parser of the pickle in a TorchScript archive; it never imports or calls anything named there.

`pickletools.genops` splits a pickle into opcodes and executes none of them. A small stack machine
interprets the opcodes that PyTorch writes (torch/csrc/jit/serialization/pickler.cpp) and refuses
all others; tensors are returned as descriptions of where their elements are stored.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from clipnav.storage.errors import UserError

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


def read_pickle(raw: bytes) -> Any:
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
