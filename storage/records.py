"""Reading JSON arrays and JSON Lines, compressed or not, record by record with exact complaints."""

import json
import re
from pathlib import Path
from typing import TypeVar

import msgspec

from storage.gzip_files import DAMAGE as GZIP_DAMAGE
from storage.gzip_files import MOST_BYTES, ExpansionError, open_maybe_packed
from storage.messages import shortened

Record = TypeVar("Record")

_SPACE = re.compile("[ \t\r\n]*")
_NAMES = (
    "instruction_id",
    "demonstration_id",
    "path_id",
    "instr_id",
    "question_id",
    "questionId",
    "pairID",
    "image_id",
)
# What a damaged file makes the readers of gzip, UTF-8 and JSON raise.
_DAMAGE = (ValueError, RecursionError, *GZIP_DAMAGE)
_LONGEST_PROBLEM = 400  # characters


def read_records(
    path: Path, kind: type[Record], remedy: str, most_bytes: int = MOST_BYTES
) -> list[Record]:
    """Read all records of a file.

    Whether the file is compressed, and whether it is one JSON array or JSON Lines, is seen from
    its content: some RxR files that circulate are one array under the name of JSON Lines.

    Args:
        path: The file.
        kind: What a record is, for `msgspec`; fields that it does not name are skipped.
        remedy: How to get a sound file, for the error.
        most_bytes: That the file may have, unpacked.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged or too large; names file, record, field and remedy.
    """
    decode = msgspec.json.Decoder(kind).decode
    records: list[Record] = []
    with open_maybe_packed(path, most_bytes) as file:
        line = b""
        try:
            # A JSON string may hold line separators such as U+2028, but never the byte \n.
            for line in file:
                if not records and line.lstrip()[:1] == b"[":
                    return _read_array(line + file.read(), kind, path, remedy)
                if not line.isspace():
                    records.append(decode(line))
                line = b""  # what fails to be read next is not this line
        except (RecordError, ExpansionError):
            raise
        except _DAMAGE as error:
            problem = _problem(error)
            raise RecordError(path, len(records), problem, remedy, _name(line)) from error
    return records


class RecordError(ValueError):
    """A record of a file is wrong; the message names file, record, problem and remedy."""

    def __init__(
        self, path: Path, number: int, problem: str, remedy: str, name: str | None = None
    ) -> None:
        named = f" ({shortened(name)})" if name else ""
        problem = shortened(problem, _LONGEST_PROBLEM)
        super().__init__(f"{path}: record {number}{named}: {problem}; {remedy}")


def _read_array(raw: bytes, kind: type[Record], path: Path, remedy: str) -> list[Record]:
    try:
        return msgspec.json.decode(raw, type=list[kind])
    except _DAMAGE:
        number, piece, problem = _locate(raw, msgspec.json.Decoder(kind))
        raise RecordError(path, number, problem, remedy, _name(piece)) from None


def _locate(raw: bytes, decoder: msgspec.json.Decoder) -> tuple[int, bytes, str]:
    """First damaged record of an array that is known to be damaged: number, bytes and problem."""
    # One character per byte, so that places in the text are places in the bytes.
    text = raw.decode("latin-1")
    scan = json.JSONDecoder(strict=False).raw_decode
    number, place = 0, _after_space(text, text.index("[") + 1)
    if text[place : place + 1] == "]":
        return number, b"", "there is text after the end of the list"
    while True:
        try:
            end = scan(text, place)[1]
        except (ValueError, RecursionError):
            end = len(text)
        piece = raw[place:end]
        try:
            decoder.decode(piece)
        except _DAMAGE as error:
            return number, piece, _problem(error)
        place = _after_space(text, end)
        if text[place : place + 1] == "]":
            return number, b"", "there is text after the end of the list"
        if text[place : place + 1] != ",":
            return number, piece, "neither a comma nor the end of the list follows it"
        number, place = number + 1, _after_space(text, place + 1)


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _problem(error: BaseException) -> str:
    """What is wrong with a record, in our words where msgspec names a place (`$.path[1]`)."""
    if isinstance(error, GZIP_DAMAGE):
        return f"the compressed data is damaged ({error})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, msgspec.ValidationError):
        return f"not valid JSON ({error})"
    what, _, where = str(error).partition(" - at `$")
    place = where.rstrip("`").lstrip(".")
    if what.startswith("Object missing required field"):
        field = what.split("`")[1]
        return f"field '{f'{place}.{field}' if place else field}' is missing"
    what = what[0].lower() + what[1:].replace("`", "")
    return f"field '{place}': {what}" if place else what


def _name(piece: bytes) -> str | None:
    """Identifies a record that may be damaged, as in "path_id 101"."""
    try:
        record = json.loads(piece)
    except _DAMAGE:
        return None
    names = _NAMES if isinstance(record, dict) else ()
    return next((f"{name} {shortened(record[name])}" for name in names if name in record), None)
