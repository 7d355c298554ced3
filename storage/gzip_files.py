"""Opening files that may be compressed with gzip, with a bound on what they expand to.

A file of 1 MB can expand to 1 GB (DEFLATE reaches 1032 : 1). Annotations, submissions and traces
are JSON, which shrinks to a fifth or a twentieth. So a file may expand to `MOST_EXPANSION` times
its size at most, but small ones to `ALWAYS_ALLOWED` bytes in any case, and none to more than
`MOST_BYTES`.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

MOST_EXPANSION = 100
ALWAYS_ALLOWED = 1 << 24
MOST_BYTES = 1 << 33
# What a damaged file makes the reader of gzip raise.
DAMAGE = (EOFError, OSError, zlib.error)

_MAGIC = b"\x1f\x8b"


@contextmanager
def open_maybe_packed(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[BinaryIO]:
    """Open a file to read its bytes; it is unpacked if its content is that of gzip.

    Reading may raise `DAMAGE`, or `ExpansionError`.

    Args:
        path: The file.
        most_bytes: That it may have, unpacked.

    Raises:
        OSError: The file cannot be opened.
        ExpansionError: It is larger than that.
    """
    with path.open("rb") as raw:
        size = path.stat().st_size
        if size > most_bytes:
            raise ExpansionError(f"{path}: {size:,} bytes, but {most_bytes:,} are read at most")
        if raw.peek(2)[:2] != _MAGIC:
            yield raw
            return
        most = min(most_bytes, max(ALWAYS_ALLOWED, MOST_EXPANSION * size))
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield io.BufferedReader(_Bounded(path, unpacked, most), 1 << 20)


class ExpansionError(ValueError):
    """A file expands to more than is read; the message names file, limit and remedy."""


class _Bounded(io.RawIOBase):
    """Unpacked bytes of a file up to a limit."""

    def __init__(self, path: Path, unpacked: gzip.GzipFile, most: int) -> None:
        self._path = path
        self._unpacked = unpacked
        self._most = most
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._unpacked.readinto1(buffer)  # as far as it is sound
        self._count += count
        if self._count > self._most:
            raise ExpansionError(
                f"{self._path}: expands to more than {self._most:,} bytes, the most that is read "
                f"of a gzip file of its size ({MOST_EXPANSION} times the size, and at least "
                f"{ALWAYS_ALLOWED:,}); unpack it with gunzip if it is what you expect"
            )
        return count
