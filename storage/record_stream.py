"""Read the records of a JSON array one at a time, for files that do not fit into memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from clipnav.storage.errors import UserError
from clipnav.storage.gzip_files import DAMAGE, ExpansionError, open_maybe_packed
from clipnav.storage.records import RecordError, describe_problem

Record = TypeVar("Record")

_CHUNK = 1 << 20
_MOST_RECORD = 1 << 26  # bytes
_SPACE = " \t\r\n"


def stream_records(path: Path, kind: type[Record], remedy: str) -> Iterator[Record]:
    """Yield the records of a file that is one JSON array, optionally gzipped.

    Only one record and a chunk of the file are in memory.

    Args:
        path: The file.
        kind: Type of a record, for `msgspec`; fields that it does not name are skipped.
        remedy: How to get a correct file, for error messages.

    Raises:
        OSError: The file cannot be opened.
        UserError: The file is damaged or too large; names file, record, field and remedy.
    """
    decode = msgspec.json.Decoder(kind).decode
    number = 0
    with open_maybe_packed(path) as file:
        try:
            for piece in _Scanner(file).elements():
                yield decode(piece)
                number += 1
        except (RecordError, ExpansionError):
            raise
        except (ValueError, RecursionError, *DAMAGE) as error:
            raise RecordError(path, number, describe_problem(error), remedy) from error


class _Scanner:
    """Reads a JSON array from a file in chunks; only the text that is not yet scanned is kept."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text, self._start = "", 0
        self._scan = json.JSONDecoder(strict=False).raw_decode

    def elements(self) -> Iterator[bytes]:
        """Yield the text of each element."""
        if self._next() != "[":
            raise UserError("the file is not a JSON array")
        self._start += 1
        following = self._next()
        while following != "]":
            end = self._end()
            yield self._text[self._start : end].encode("latin-1")
            self._start = end
            following = self._next()
            if following not in (",", "]"):
                raise UserError("a comma or the end of the list is missing after it")
            if following == ",":
                self._start += 1
                self._next()
        self._start += 1
        if self._next():
            raise UserError("text follows the end of the list")

    def _next(self) -> str:
        """Skip white space; return the next character, "" at the end of the file."""
        while True:
            while self._start < len(self._text) and self._text[self._start] in _SPACE:
                self._start += 1
            if self._start < len(self._text):
                return self._text[self._start]
            if not self._read(_CHUNK):
                return ""

    def _end(self) -> int:
        """Return the end of the JSON value at the start of the text."""
        size = _CHUNK
        while True:
            try:
                end = self._scan(self._text, self._start)[1]
                # A number at the end of the text may continue in the next chunk.
                if end < len(self._text) or not self._read(size):
                    return end
            except ValueError as error:
                if len(self._text) - self._start > _MOST_RECORD:
                    raise UserError(f"it is longer than {_MOST_RECORD:,} bytes") from error
                if not self._read(size):
                    raise
                size *= 2  # each attempt scans the element from its start

    def _read(self, size: int) -> bool:
        """Append a chunk of the file to the text; return whether there is one."""
        # Latin-1 has one character per byte, so every chunk can be decoded by itself.
        more = self._file.read(size).decode("latin-1")
        self._text, self._start = self._text[self._start :] + more, 0
        return bool(more)
