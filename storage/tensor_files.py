"""Headers of safetensors files, written the same for the same content.

The safetensors library writes metadata in an order that changes from run to run; here it stays as
it is given, so that equal files have equal digests.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storage.json_files import parse_json

# Dtype of safetensors (tensor.rs), in bits of a number.
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_METADATA = "__metadata__"
# What the safetensors library itself accepts at most.
_MAX_HEADER_BYTES = 100_000_000


def header_bytes(
    tensors: Mapping[str, tuple[str, Sequence[int]]], metadata: Mapping[str, str]
) -> bytes:
    """Start of a file, after which the numbers of each tensor follow in the same order.

    Args:
        tensors: Type, "F16" or "U8", and shape of each by name.
        metadata: Texts by name; safetensors wants nothing else.
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    start = 0
    for name, (kind, shape) in tensors.items():
        end = start + _BITS[kind] // 8 * math.prod(shape)
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    raw = json.dumps(header).encode()
    # Data aligned to 8 bytes, as the format recommends.
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header of a file and the byte where its data starts.

    All that the header says of the tensors is checked as the safetensors library does: types,
    shapes and sizes fit each other, and the data lies side by side and fills the file. So a memory
    map of each tensor lies within the file.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no safetensors file, damaged, or cut short; names the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else _MAX_HEADER_BYTES + 1
        raw = file.read(length) if length <= min(size, _MAX_HEADER_BYTES) else b""
    try:
        header = parse_json(raw, str(path), "")
        if len(raw) < length or not isinstance(header, dict):
            raise ValueError("no header")
        tensors = {name: entry for name, entry in header.items() if name != _METADATA}
        end = _check_entries(tensors)
        _check_metadata(header.get(_METADATA, {}))
    except ValueError as error:
        raise ValueError(f"{path}: not a safetensors file, or damaged") from error
    if size != 8 + length + end:
        problem = "cut short" if size < 8 + length + end else "too long"
        raise ValueError(f"{path}: {problem}, {size:,} bytes of {8 + length + end:,}")
    return header, 8 + length


def _check_entries(tensors: Mapping[str, Any]) -> int:
    """Bytes that the tensors of a header take together.

    Raises:
        ValueError: An entry is no description of a tensor, or the tensors do not lie side by side.
    """
    ranges = []
    for name, entry in tensors.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"'{name}' has no type, shape and place")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
            raise ValueError(f"'{name}' has a shape or place that is no list of sizes")
        kind = entry["dtype"]
        size = _BITS[kind] * math.prod(shape) if isinstance(kind, str) and kind in _BITS else None
        if size is None or 8 * (offsets[1] - offsets[0]) != size:
            raise ValueError(f"'{name}' has a type, shape and place that do not fit each other")
        ranges.append(tuple(offsets))
    end = 0
    for start, stop in sorted(ranges):
        if start != end:
            raise ValueError("tensors overlap, or there is a hole between them")
        end = stop
    return end


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(one) is int and one >= 0 for one in values)


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata is no table of texts")
