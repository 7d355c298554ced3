"""Open files that may be compressed with gzip, with a limit on their decompressed size.

Annotations, submissions and traces are JSON, which gzip compresses by a factor of 5 to 20. No file
may expand to more than `MOST_BYTES`.
"""

import gzip
import io
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from clipnav.storage.bounds import (
    ALWAYS_ALLOWED,
    MOST_EXPANSION,
    ExpansionError,
    most_expanded,
)

MOST_BYTES = 1 << 33
# Exceptions that the gzip reader raises on damaged files.
DAMAGE = (EOFError, OSError, zlib.error)

_MAGIC = b"\x1f\x8b"


@contextmanager
def open_maybe_packed(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[BinaryIO]:
    """Open a text file to read its bytes, decompressed if its content is gzip.

    The byte order mark that Windows editors write is skipped. Reading can raise `DAMAGE` or
    `ExpansionError`.
    """
    with path.open("rb") as raw:
        size = path.stat().st_size
        if size > most_bytes:
            raise ExpansionError(
                f"{path}: {size:,} bytes, but the limit is {most_bytes:,}; use a smaller file"
            )
        first = raw.peek(3)
        if not first.startswith(_MAGIC):
            raw.seek(len(BOM_UTF8) if first.startswith(BOM_UTF8) else 0)
            yield raw
            return
        most = min(most_bytes, most_expanded(size))
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield io.BufferedReader(_Bounded(path, unpacked, most), 1 << 20)


class _Bounded(io.RawIOBase):
    """Decompressed bytes of a file up to a limit."""

    def __init__(self, path: Path, unpacked: gzip.GzipFile, most: int) -> None:
        self._path = path
        self._unpacked = unpacked
        self._most = most
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._unpacked.readinto1(buffer)  # returns the bytes before any damage
        self._count += count
        if self._count > self._most:
            raise ExpansionError(
                f"{self._path}: expands to more than {self._most:,} bytes, the limit for a gzip "
                f"file of its size ({MOST_EXPANSION} times the size, and at least "
                f"{ALWAYS_ALLOWED:,}); if you trust the file, decompress it with gunzip"
            )
        return count
