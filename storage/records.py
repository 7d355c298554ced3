"""Read data sets: many records of one type, as a JSON array or JSON Lines, optionally gzipped.

Records are parsed by `msgspec` into typed objects, up to several gigabytes. A file that is one
small document (settings, a manifest, a graph) is read by `clipnav.storage.json_files`, which is
stricter and returns plain Python values.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import GenericAlias
from typing import BinaryIO, TypeVar

import msgspec

from clipnav.storage.bounds import ExpansionError
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.gzip_files import DAMAGE as GZIP_DAMAGE
from clipnav.storage.gzip_files import MOST_BYTES, open_maybe_packed
from clipnav.storage.json_files import describe_problem

Record = TypeVar("Record")

_CHUNK = 1 << 20
_MOST_RECORD = 1 << 26  # bytes, of a record of `stream_records`
_WHITE_SPACE = " \t\r\n"
_ID_FIELDS = (
    "instruction_id",
    "demonstration_id",
    "path_id",
    "instr_id",
    "question_id",
    "questionId",
    "pairID",
    "image_id",
)
# Exceptions that gzip, UTF-8 and JSON readers raise on damaged files.
_DAMAGE = (ValueError, RecursionError, *GZIP_DAMAGE)
_LONGEST_PROBLEM = 400  # characters


def read_records(
    path: Path, kind: type[Record], hint: str, most_bytes: int = MOST_BYTES
) -> list[Record]:
    """Read all records of a file.

    The content decides whether the file is compressed, and whether it is one JSON array or JSON
    Lines: some RxR files that circulate are an array although their name ends in .jsonl.
    """
    decode = msgspec.json.Decoder(kind).decode
    records: list[Record] = []
    with open_maybe_packed(path, most_bytes) as file:
        line = b""
        try:
            # A JSON string may contain line separators such as U+2028, but never the byte \n.
            for line in file:
                if not records and line.lstrip()[:1] == b"[":
                    return _read_array(line + file.read(), kind, path, hint)
                if not line.isspace():
                    records.append(decode(line))
                line = b""  # an error of the next read is not about this line
        except (RecordError, ExpansionError):
            raise
        except _DAMAGE as error:
            problem = _describe(error, line)
            if not records and line.endswith(b"\n") and line.split() == [b"{"]:
                problem = "an object on several lines, in neither a JSON array nor JSON Lines"
            raise RecordError(path, len(records), problem, hint, _record_id(line)) from error
    return records


class RecordError(UserError):
    """A record of a file is invalid; the message names file, record, problem and remedy."""

    def __init__(
        self, path: Path, number: int, problem: str, hint: str, identity: str | None = None
    ) -> None:
        identity = f" ({truncate(identity)})" if identity else ""
        problem = truncate(problem, _LONGEST_PROBLEM)
        super().__init__(f"{path}: record {number}{identity}: {problem}; {hint}")


def _read_array(raw: bytes, kind: type[Record], path: Path, hint: str) -> list[Record]:
    try:
        # list[kind] would be an annotation with a variable for type checkers.
        return msgspec.json.decode(raw, type=GenericAlias(list, kind))
    except _DAMAGE:
        return list(_read_elements(BytesIO(raw), kind, path, hint))  # names the invalid record


def stream_records(path: Path, kind: type[Record], hint: str) -> Iterator[Record]:
    """Yield the records of a file that is one JSON array, for files that do not fit into memory.

    Only one record and a chunk of the file are in memory. Arguments and errors are those of
    `read_records`.
    """
    with open_maybe_packed(path) as file:
        yield from _read_elements(file, kind, path, hint)


def _read_elements(file: BinaryIO, kind: type[Record], path: Path, hint: str) -> Iterator[Record]:
    decode = msgspec.json.Decoder(kind).decode
    number, piece = 0, b""
    try:
        for number, piece in enumerate(_Scanner(file).elements()):  # noqa: B007  (see below)
            yield decode(piece)
    except (RecordError, ExpansionError):
        raise
    except _DAMAGE as error:
        identity = None if isinstance(error, GZIP_DAMAGE) else _record_id(piece)
        problem = str(error) if isinstance(error, UserError) else _describe(error, piece)
        raise RecordError(path, number, problem, hint, identity) from error


def _describe(error: BaseException, piece: bytes) -> str:
    """Describe the problem of a record; names a NaN or an infinity, which Python writes as such."""
    constants: list[str] = []
    if not isinstance(error, msgspec.ValidationError):
        with suppress(*_DAMAGE):
            json.loads(piece, parse_constant=constants.append)
    if constants:
        return f"not valid JSON ({constants[0]} is not a JSON number)"
    return describe_problem(error)


def _record_id(piece: bytes) -> str | None:
    """Return field and id of a record that may be invalid, such as "path_id 101"."""
    try:
        record = json.loads(piece)
    except _DAMAGE:
        return None
    fields = _ID_FIELDS if isinstance(record, dict) else ()
    ids = (f"{field} {truncate(record[field])}" for field in fields if field in record)
    return next(ids, None)


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
            piece = self._text[self._start : end].encode("latin-1")
            self._start = end
            following = self._next()
            yield piece
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
            while self._start < len(self._text) and self._text[self._start] in _WHITE_SPACE:
                self._start += 1
            if self._start < len(self._text):
                return self._text[self._start]
            if not self._read(_CHUNK):
                return ""

    def _end(self) -> int:
        """Return the end of the JSON value at the start of the text, or of a damaged file."""
        size = _CHUNK
        while True:
            try:
                end = self._scan(self._text, self._start)[1]
                # A number at the end of the text may continue in the next chunk.
                if end < len(self._text) or not self._read(size):
                    return end
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._start > _MOST_RECORD:
                    raise UserError(f"it is longer than {_MOST_RECORD:,} bytes") from error
                if not self._read(size):
                    return len(self._text)
                size *= 2  # each attempt scans the element from its start

    def _read(self, size: int) -> bool:
        """Append a chunk of the file to the text; return whether there is one."""
        # Latin-1 has one character per byte, so every chunk can be decoded by itself.
        more = self._file.read(size).decode("latin-1")
        self._text, self._start = self._text[self._start :] + more, 0
        return bool(more)
