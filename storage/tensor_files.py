"""Reproducible safetensors files with a checksum.

The safetensors library writes metadata in an order that changes from run to run. Here the order is
fixed, so that equal content gives equal files. The metadata contains the CRC-32 of the file, in
which zeros stand for the checksum itself; other programs ignore it.
"""

import itertools
import json
import math
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import parse_json

# Bits per number of each dtype of safetensors (tensor.rs).
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
CHECKSUM = "crc32"  # its name in the metadata
_METADATA, _UNKNOWN = "__metadata__", "00000000"
_RECORDED = re.compile(rb'"crc32": ?"([0-9a-f]{8})"')
# Limit of the safetensors library.
_MAX_HEADER_BYTES = 100_000_000


def header_bytes(
    tensors: Mapping[str, tuple[str, Sequence[int]]], metadata: Mapping[str, str]
) -> bytes:
    """Return the header of a file; the data of the tensors follows in the same order."""
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    start = 0
    for name, (dtype, shape) in tensors.items():
        end = start + _BITS[dtype] // 8 * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    return _packed_header(header)


def _packed_header(header: dict[str, Any], **options: Any) -> bytes:
    raw = json.dumps(header, **options).encode()
    # Data aligned to 8 bytes, as the format recommends.
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw


def write_tensors(path: Path, serialised: bytes) -> None:
    """Write the result of `safetensors.*.save`, which has metadata, with sorted metadata."""
    with atomic_write(path, to_disk=True) as beside, beside.open("wb") as file:
        length = int.from_bytes(serialised[:8], "little")
        header = json.loads(serialised[8 : 8 + length])
        header[_METADATA] = dict(sorted({**header[_METADATA], CHECKSUM: _UNKNOWN}.items()))
        raw = _packed_header(header, ensure_ascii=False, separators=(",", ":"))
        _write(file, raw, [memoryview(serialised)[8 + length :]])


def write_streamed(
    file: BinaryIO,
    tensors: Mapping[str, tuple[str, Sequence[int]]],
    metadata: Mapping[str, str],
    data: Iterable[bytes],
) -> None:
    """Write tensors whose data arrives in pieces, in the order of the tensors."""
    _write(file, header_bytes(tensors, {**metadata, CHECKSUM: _UNKNOWN}), data)


def _write(file: BinaryIO, header: bytes, data: Iterable[bytes | memoryview]) -> None:
    place = _RECORDED.search(header)
    assert place is not None
    checksum = 0
    for part in itertools.chain([header], data):
        file.write(part)
        checksum = zlib.crc32(part, checksum)
    file.seek(place.start(1))
    file.write(f"{checksum:08x}".encode())


def check_content(path: Path, hint: str) -> bool:
    """Compare a file with its checksum; return whether it has one."""
    start = read_header(path)[1]
    with path.open("rb") as file:
        header = file.read(start)
        place = _RECORDED.search(header)
        if place is None:
            return False
        checksum = zlib.crc32(header[: place.start(1)] + _UNKNOWN.encode())
        checksum = zlib.crc32(header[place.end(1) :], checksum)
        while part := file.read(1 << 20):
            checksum = zlib.crc32(part, checksum)
    if f"{checksum:08x}".encode() != place[1]:
        raise UserError(f"{path}: damaged, its content does not have its checksum; {hint}")
    return True


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a file, without its checksum, and the offset of its data in bytes.

    The header is checked as in the safetensors library: dtypes, shapes and sizes are consistent,
    and the tensors are contiguous and fill the file. A memory map of each tensor is therefore
    within the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else _MAX_HEADER_BYTES + 1
        raw = file.read(length) if length <= min(size, _MAX_HEADER_BYTES) else b""
    try:
        header = parse_json(raw, str(path), "")
        if len(raw) < length or not isinstance(header, dict):
            raise UserError("no header")
        tensors = {name: entry for name, entry in header.items() if name != _METADATA}
        end = _check_entries(tensors)
        metadata = header.get(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
            raise UserError("the metadata is not an object of strings")
        metadata.pop(CHECKSUM, None)
    except ValueError as error:
        raise UserError(f"{path}: not a safetensors file, or damaged") from error
    if size != 8 + length + end:
        problem = "truncated" if size < 8 + length + end else "too long"
        raise UserError(f"{path}: {problem}, {size:,} bytes of {8 + length + end:,}")
    return header, 8 + length


def _check_entries(tensors: Mapping[str, Any]) -> int:
    """Return the total size of the tensors of a header in bytes."""
    ranges = []
    for name, entry in tensors.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise UserError(f"'{name}' lacks dtype, shape or offsets")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
            raise UserError(f"'{name}' has a shape or offsets that are not a list of sizes")
        dtype = entry["dtype"]
        is_known = isinstance(dtype, str) and dtype in _BITS
        size = _BITS[dtype] * math.prod(shape) if is_known else None
        if size is None or 8 * (offsets[1] - offsets[0]) != size:
            raise UserError(f"'{name}' has inconsistent dtype, shape and offsets")
        ranges.append(tuple(offsets))
    end = 0
    for start, stop in sorted(ranges):
        if start != end:
            raise UserError("tensors overlap, or there is a gap between them")
        end = stop
    return end


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)
