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

_BYTES = {"F16": 2, "U8": 1}
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
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name, (kind, shape) in tensors.items():
        end = start + _BYTES[kind] * math.prod(shape)
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    raw = json.dumps(header).encode()
    # Data aligned to 8 bytes, as the format recommends.
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header of a file and the byte where its data starts.

    Raises:
        ValueError: It is no safetensors file, or damaged.
    """
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else _MAX_HEADER_BYTES + 1
        raw = file.read(length) if length <= _MAX_HEADER_BYTES else b""
    try:
        header = json.loads(raw)
    except ValueError:
        header = None
    if len(raw) < length or not isinstance(header, dict):
        raise ValueError(f"{path}: not a safetensors file, or damaged")
    return header, 8 + length
