"""Read data sets: many records of one type, as a JSON array or JSON Lines, optionally gzipped.

Records are parsed by `msgspec` into typed objects, up to several gigabytes. A file that is one
small document (settings, a manifest, a graph) is read by `clipnav.storage.json_files`, which is
stricter and returns plain Python values.
"""

import json
import re
from contextlib import suppress
from pathlib import Path
from types import GenericAlias
from typing import TypeVar

import msgspec

from clipnav.storage.errors import UserError, shortened
from clipnav.storage.gzip_files import DAMAGE as GZIP_DAMAGE
from clipnav.storage.gzip_files import MOST_BYTES, ExpansionError, open_maybe_packed

Record = TypeVar("Record")

_SPACE = re.compile("[ \t\r\n]*")
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
    path: Path, kind: type[Record], remedy: str, most_bytes: int = MOST_BYTES
) -> list[Record]:
    """Read all records of a file.

    The content decides whether the file is compressed, and whether it is one JSON array or JSON
    Lines: some RxR files that circulate are an array although their name ends in .jsonl.

    Args:
        path: The file.
        kind: Type of a record, for `msgspec`; fields that it does not name are skipped.
        remedy: How to get a correct file, for error messages.
        most_bytes: Maximum size, decompressed.

    Raises:
        OSError: The file cannot be opened.
        UserError: The file is damaged or too large; names file, record, field and remedy.
    """
    decode = msgspec.json.Decoder(kind).decode
    records: list[Record] = []
    with open_maybe_packed(path, most_bytes) as file:
        line = b""
        try:
            # A JSON string may contain line separators such as U+2028, but never the byte \n.
            for line in file:
                if not records and line.lstrip()[:1] == b"[":
                    return _read_array(line + file.read(), kind, path, remedy)
                if not line.isspace():
                    records.append(decode(line))
                line = b""  # an error of the next read is not about this line
        except (RecordError, ExpansionError):
            raise
        except _DAMAGE as error:
            problem = _describe(error, line)
            if not records and line.endswith(b"\n") and line.split() == [b"{"]:
                problem = "an object on several lines, in neither a JSON array nor JSON Lines"
            raise RecordError(path, len(records), problem, remedy, _record_id(line)) from error
    return records


class RecordError(UserError):
    """A record of a file is invalid; the message names file, record, problem and remedy."""

    def __init__(
        self, path: Path, number: int, problem: str, remedy: str, identity: str | None = None
    ) -> None:
        identity = f" ({shortened(identity)})" if identity else ""
        problem = shortened(problem, _LONGEST_PROBLEM)
        super().__init__(f"{path}: record {number}{identity}: {problem}; {remedy}")


def _read_array(raw: bytes, kind: type[Record], path: Path, remedy: str) -> list[Record]:
    try:
        # list[kind] would be an annotation with a variable for type checkers.
        return msgspec.json.decode(raw, type=GenericAlias(list, kind))
    except _DAMAGE:
        number, piece, problem = _locate(raw, msgspec.json.Decoder(kind))
        raise RecordError(path, number, problem, remedy, _record_id(piece)) from None


def _locate(raw: bytes, decoder: msgspec.json.Decoder) -> tuple[int, bytes, str]:
    """Return number, bytes and problem of the first invalid record of an invalid array."""
    # Latin-1 has one character per byte, so offsets in the text are offsets in the bytes.
    text = raw.decode("latin-1")
    scan = json.JSONDecoder(strict=False).raw_decode
    number, offset = 0, _after_space(text, text.index("[") + 1)
    if text[offset : offset + 1] == "]":
        return number, b"", "text follows the end of the list"
    while True:
        try:
            end = scan(text, offset)[1]
        except (ValueError, RecursionError):
            end = len(text)
        piece = raw[offset:end]
        try:
            decoder.decode(piece)
        except _DAMAGE as error:
            return number, piece, _describe(error, piece)
        offset = _after_space(text, end)
        if text[offset : offset + 1] == "]":
            return number, b"", "text follows the end of the list"
        if text[offset : offset + 1] != ",":
            return number, piece, "a comma or the end of the list is missing after it"
        number, offset = number + 1, _after_space(text, offset + 1)


def _after_space(text: str, offset: int) -> int:
    match = _SPACE.match(text, offset)
    return match.end() if match else offset


def _describe(error: BaseException, piece: bytes) -> str:
    """Describe the problem of a record; names a NaN or an infinity, which Python writes as such."""
    constants: list[str] = []
    if not isinstance(error, msgspec.ValidationError):
        with suppress(*_DAMAGE):
            json.loads(piece, parse_constant=constants.append)
    if constants:
        return f"not valid JSON ({constants[0]} is not a JSON number)"
    return describe_problem(error)


def describe_problem(error: BaseException) -> str:
    """Describe the problem of a record, with the field that msgspec names (`$.path[1]`)."""
    if isinstance(error, GZIP_DAMAGE):
        return f"the compressed data is damaged ({error})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, msgspec.ValidationError):
        return f"not valid JSON ({error})"
    problem, _, path = str(error).partition(" - at `$")
    parent = path.rstrip("`").lstrip(".")
    if problem.startswith("Object missing required field"):
        field = problem.split("`")[1]
        return f"field '{f'{parent}.{field}' if parent else field}' is missing"
    problem = problem[0].lower() + problem[1:].replace("`", "")
    return f"field '{parent}': {problem}" if parent else problem


def _record_id(piece: bytes) -> str | None:
    """Return field and id of a record that may be invalid, such as "path_id 101"."""
    try:
        record = json.loads(piece)
    except _DAMAGE:
        return None
    fields = _ID_FIELDS if isinstance(record, dict) else ()
    ids = (f"{field} {shortened(record[field])}" for field in fields if field in record)
    return next(ids, None)
